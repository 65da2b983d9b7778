"""How much memory a process has for itself; a process that reads records and says so."""

from multiprocessing.connection import Connection
from pathlib import Path
from threading import Barrier

from muybridge.data import VideoRecords

SMAPS = Path("/proc/self/smaps_rollup")  # of Linux


def count_own_bytes() -> int:
    """The memory of this process that it shares with no other and with no file."""
    return next(1024 * int(line.split()[1]) for line in SMAPS.read_text().splitlines() if "Private_Dirty" in line)


def read_all(records: VideoRecords, connection: Connection, everyone: Barrier) -> None:
    """Sends the number of characters of all names, and how much memory reading them took when everyone has."""
    num_characters = len(records[0].name)  # what reading needs is imported
    before = count_own_bytes()
    num_characters += sum(len(record.name) for record in records[1:])
    everyone.wait(280)
    connection.send((num_characters, count_own_bytes() - before))
    everyone.wait(280)  # or one could be gone before the other has measured
