"""Xet, as far as uploads need it: files come as chunks in xorbs, and shards say which chunks make which file.

A xorb is a run of chunks, each packed on its own. A shard lists files: the sha256 of each, and its terms, which are
ranges of chunks of xorbs. What is stored in the end are files as everywhere else; xorbs only wait for their shard.

Specification: https://huggingface.co/docs/xet
"""

import secrets
from array import array
from collections.abc import Iterable, Iterator
from datetime import timedelta
from struct import Struct
from typing import NamedTuple

from lz4.frame import LZ4FrameDecompressor

from muybridge_hub.database import now
from muybridge_hub.errors import BadRequest, TooLarge
from muybridge_hub.storage import Storage, Stored, Writer, write_all

MAX_XORB_SIZE = 65 << 20  # 64 MiB of chunks, and a table of contents that older clients append
MAX_SHARD_SIZE = 65 << 20
MAX_CHUNK_SIZE = 128 << 10
MAX_CHUNKS = 1 << 16  # of a xorb; clients put up to 2^13 into one
MAX_TABLES = 1000

CHUNK_HEADER_SIZE = 8
PLAIN, PACKED, GROUPED = range(3)
FOOTER = b"XETBLOB"

SHARD_HEADER = Struct("<32s2Q")  # tag, version, size of a footer
SHARD_TAG = b"HFRepoMetaData\0" + bytes.fromhex("556967456a7b815783a5bdd95ccdd14aa9")
SHARD_VERSION = 2
RECORD = Struct("<32s4I")  # everything in a shard has this form; the meaning of the four numbers differs
LAST = b"\xff" * 32  # in the place of a hash ends a section
HAS_VERIFICATION, HAS_SHA256 = 1 << 31, 1 << 30


class MissingXorb(BadRequest):
    """A term refers to a xorb that is not here, or not any more."""


# Chunks


class ChunkHeader(NamedTuple):
    packed_size: int
    scheme: int
    size: int


def parse_chunk_header(data: bytes) -> ChunkHeader:
    version, scheme = data[0], data[4]
    packed_size, size = int.from_bytes(data[1:4], "little"), int.from_bytes(data[5:8], "little")
    if version != 0 or scheme not in (PLAIN, PACKED, GROUPED):
        raise BadRequest(f"a chunk has the version {version} and the compression {scheme}; this hub knows 0 and 0 to 2")
    if not 0 < size <= MAX_CHUNK_SIZE or not 0 < packed_size <= 2 * MAX_CHUNK_SIZE:
        raise BadRequest(f"a chunk has {size} bytes, {packed_size} packed; up to {MAX_CHUNK_SIZE} are allowed")
    return ChunkHeader(packed_size, scheme, size)


def unpack(header: ChunkHeader, packed: bytes) -> bytes:
    """The bytes of a chunk. No more are made than its header announces, which is checked before."""
    data = packed if header.scheme == PLAIN else decompress(packed, header.size)
    if len(data) != header.size:
        raise BadRequest(f"a chunk does not have the {header.size} bytes that its header announces; upload it again")
    return join_groups(data) if header.scheme == GROUPED else data


def decompress(packed: bytes, size: int) -> bytes:
    try:
        return LZ4FrameDecompressor().decompress(packed, max_length=size + 1)
    except RuntimeError as error:
        raise BadRequest(f"a chunk is damaged; upload it again: {error}") from error


def join_groups(data: bytes) -> bytes:
    """Undoes byte grouping, which puts the first bytes of all words of four before the second ones, and so on."""
    joined, start = bytearray(len(data)), 0
    for position in range(4):
        length = len(range(position, len(data), 4))
        joined[position::4] = data[start : start + length]
        start += length
    return bytes(joined)


def unpack_all(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks in a run of whole ones that comes in pieces of any size."""
    rest = b""
    for piece in pieces:
        rest += piece
        start = 0
        while len(rest) - start >= CHUNK_HEADER_SIZE:
            header = parse_chunk_header(rest[start : start + CHUNK_HEADER_SIZE])
            end = start + CHUNK_HEADER_SIZE + header.packed_size
            if end > len(rest):
                break
            yield unpack(header, rest[start + CHUNK_HEADER_SIZE : end])
            start = end
        rest = rest[start:]
    if rest:
        raise BadRequest("a xorb ends within a chunk; upload it again")


class ChunkTable:
    """Where the chunks of a xorb begin and end, found while its bytes pass by."""

    def __init__(self) -> None:
        self.offsets = array("I", [0])
        self.header, self.remaining, self.is_at_footer = b"", 0, False

    def add(self, data: bytes) -> None:
        position = 0
        while position < len(data) and not self.is_at_footer:
            if self.remaining:
                step = min(self.remaining, len(data) - position)
                self.remaining -= step
            else:
                step = min(CHUNK_HEADER_SIZE - len(self.header), len(data) - position)
                self.header += data[position : position + step]
                self.begin_chunk()
            position += step

    def begin_chunk(self) -> None:
        if len(self.header) < CHUNK_HEADER_SIZE:
            return
        if self.header.startswith(FOOTER):
            self.is_at_footer = True
        elif len(self.offsets) > MAX_CHUNKS:
            raise TooLarge(f"a xorb has more than {MAX_CHUNKS} chunks")
        else:
            self.remaining = parse_chunk_header(self.header).packed_size
            self.offsets.append(self.offsets[-1] + CHUNK_HEADER_SIZE + self.remaining)
        self.header = b""

    def finish(self) -> None:
        if self.remaining or self.header or len(self.offsets) == 1:
            raise BadRequest("the xorb is empty or ends within a chunk; upload it again")


# Shards


class Term(NamedTuple):
    """The chunks [start, end) of a xorb, which are `size` bytes when unpacked."""

    xorb: str
    size: int
    start: int
    end: int


class ShardFile(NamedTuple):
    sha256: str
    size: int
    records: memoryview  # of its terms: there may be a million

    def terms(self) -> Iterator[Term]:
        for xorb, _, size, start, end in RECORD.iter_unpack(self.records):
            yield Term(read_hash(xorb), size, start, end)


def read_hash(data: bytes) -> str:
    """Hashes are written as four numbers of 64 bits."""
    return "".join(data[start : start + 8][::-1].hex() for start in range(0, 32, 8))


def parse_shard(data: bytes) -> list[ShardFile]:
    """The files of a shard. What it says of xorbs is not needed: they are here."""
    if len(data) < SHARD_HEADER.size:
        raise BadRequest(f"a shard of {len(data)} bytes is too short to be one")
    tag, version, _ = SHARD_HEADER.unpack_from(data)
    if tag != SHARD_TAG or version != SHARD_VERSION:
        raise BadRequest(f"this is no shard of version {SHARD_VERSION}, but begins with {data[:14]!r}, {version}")
    records = Records(memoryview(data), SHARD_HEADER.size)
    files = list(parse_files(records))
    while (header := records.take_header()) is not None:
        records.take(header[2])  # the chunks of a xorb
    return files


class Records:
    """The records of a shard, one after another."""

    def __init__(self, data: memoryview, position: int) -> None:
        self.data, self.position = data, position

    def take(self, count: int) -> memoryview:
        start, end = self.position, self.position + count * RECORD.size
        if end > len(self.data):
            raise BadRequest(f"a shard of {len(self.data)} bytes ends before its lists do; upload it again")
        self.position = end
        return self.data[start:end]

    def take_header(self) -> tuple[bytes, int, int, int, int] | None:
        """The next header of the section; None at its end."""
        header: tuple[bytes, int, int, int, int] = RECORD.unpack(self.take(1))
        return None if header[0] == LAST else header


def parse_files(records: Records) -> Iterator[ShardFile]:
    while (header := records.take_header()) is not None:
        name, flags, num_terms = header[:3]
        terms = records.take(num_terms)
        if flags & HAS_VERIFICATION:
            records.take(num_terms)  # hashes of what the sha256 proves
        if not flags & HAS_SHA256:
            raise BadRequest(f"the shard does not tell the sha256 of the file {read_hash(name)}; upload it with one")
        sha256 = read_hash(bytes(records.take(1)[:32]))
        yield ShardFile(sha256, sum(record[2] for record in RECORD.iter_unpack(terms)), terms)


# Xorbs that wait


class Uploads:
    """Where the xorbs of a repository wait for their shard: a folder for all that are sent within some hours.

    Clients remember for weeks which xorbs they sent to an address, and refer to them instead of sending them again.
    The folder's name is part of the address. So another folder makes them forget, and there is another one when this
    one is too old, when it was lost, and when something in it turned out to be lost. No xorb is needed for longer
    than an upload may last: what is older can be deleted.
    """

    def __init__(self, storage: Storage, repository: int, hours: float) -> None:
        self.storage, self.hours = storage, hours
        self.folder = f"parts/xet/{repository}"

    def begin(self) -> str:
        """The name of the folder that a client shall send to."""
        marks = sorted(self.list_marks(), key=lambda mark: (mark.modified_at, mark.place))
        if marks and now() - marks[-1].modified_at < timedelta(hours=self.hours):
            return marks[-1].place.rpartition("/")[2]
        name = secrets.token_hex(8)
        write_all(self.storage, f"{self.folder}/begun/{name}", [name.encode()])
        return name

    def forget(self) -> None:
        """Whoever begins from now on sends everything again."""
        for mark in self.list_marks():
            self.storage.delete(mark.place)

    def list_marks(self) -> list[Stored]:
        return list(self.storage.list(f"{self.folder}/begun"))

    def xorbs(self, name: str) -> "Xorbs":
        return Xorbs(self.storage, f"{self.folder}/{name}")


class Xorbs:
    """The xorbs of an upload. Nobody but who may write to the repository adds any, so none spoils another's.

    Their own hashes are not verified: what counts is the sha256 of the file that their chunks make.
    """

    def __init__(self, storage: Storage, folder: str) -> None:
        self.storage, self.folder = storage, folder
        self.tables: dict[str, array[int]] = {}

    def receive(self, xorb: str) -> "XorbReceiver":
        return XorbReceiver(self.storage.writer(f"{self.locate(xorb)}/chunks"))

    def read(self, file: ShardFile) -> Iterator[bytes]:
        """The bytes of a file, chunk after chunk."""
        for term in file.terms():
            yield from self.read_term(term)

    def read_term(self, term: Term) -> Iterator[bytes]:
        offsets = self.find_table(term.xorb)
        if not term.start < term.end < len(offsets):
            raise BadRequest(f"there are no chunks [{term.start}, {term.end}) in the xorb {term.xorb}")
        size, place = 0, f"{self.locate(term.xorb)}/chunks"
        for data in unpack_all(self.storage.read(place, offsets[term.start], offsets[term.end])):
            size += len(data)
            yield data
        if size != term.size:
            raise BadRequest(f"the chunks of the xorb {term.xorb} have {size} bytes, not the {term.size} announced")

    def find_table(self, xorb: str) -> "array[int]":
        if xorb not in self.tables:
            if len(self.tables) >= MAX_TABLES:
                self.tables.pop(next(iter(self.tables)))
            self.tables[xorb] = self.read_table(xorb)
        return self.tables[xorb]

    def read_table(self, xorb: str) -> "array[int]":
        stored = next(self.storage.list(self.locate(xorb)), None)
        if stored is None:
            raise MissingXorb(f"the xorb {xorb} did not arrive, or is not kept any more; begin the upload again")
        table = ChunkTable()
        for piece in self.storage.read(stored.place, 0, stored.size):
            table.add(piece)
        return table.offsets

    def locate(self, xorb: str) -> str:
        # A folder of its own, since a folder can be asked what it holds and how large that is.
        return f"{self.folder}/{xorb}"


class XorbReceiver:
    """Takes in a xorb; one that is not made of whole chunks leaves no trace."""

    def __init__(self, writer: Writer) -> None:
        self.writer, self.table, self.received = writer, ChunkTable(), 0

    def write(self, data: bytes) -> None:
        self.received += len(data)
        if self.received > MAX_XORB_SIZE:
            raise TooLarge(f"a xorb has more than {MAX_XORB_SIZE} bytes")
        self.table.add(data)
        self.writer.write(data)

    def keep(self) -> None:
        self.table.finish()
        self.writer.commit()

    def discard(self) -> None:
        self.writer.discard()
