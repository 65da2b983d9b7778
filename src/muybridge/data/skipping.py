"""A list of the videos that were left out, kept by several processes at once."""

import json
import os
import tempfile
import weakref
from pathlib import Path
from typing import Any


class SkipLog:
    """A file to which every process adds a line for each video that it leaves out.

    Workers of a DataLoader have copies of their data set, and what they note there is lost; a file is not. Without a
    path it is a temporary one, which disappears with the log that made it.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = Path(path) if path else make_temporary_file()
        if path is None:
            weakref.finalize(self, remove_in_process, self.path, os.getpid())

    def add(self, name: str, reason: str) -> None:
        line = json.dumps({"video": name, "reason": reason}, ensure_ascii=False) + "\n"
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, line.encode())  # one call, so that lines of several processes do not mix
        finally:
            os.close(file)

    def read(self) -> dict[str, str]:
        """Each video once, and why it was left out."""
        if not self.path.is_file():
            return {}
        rows = map(json.loads, self.path.read_text(encoding="utf-8").splitlines())
        return {row["video"]: row["reason"] for row in rows}

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}


def make_temporary_file() -> Path:
    file, path = tempfile.mkstemp(prefix="muybridge-skipped-", suffix=".jsonl")
    os.close(file)
    return Path(path)


def remove_in_process(path: Path, process_id: int) -> None:
    """Removes a file, unless this is a fork of the process that owns it."""
    if os.getpid() == process_id:
        path.unlink(missing_ok=True)
