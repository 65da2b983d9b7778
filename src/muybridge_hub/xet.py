"""The part of Xet that uploads need: clients send chunks of files in xorbs, and shards that list the files.

A xorb is a sequence of chunks, each compressed on its own. A shard lists files: for each, its sha256 and its terms. A
term is a range of chunks in a xorb; the chunks of all terms, joined, are the file. The hub stores whole files as
blobs. It keeps xorbs only for a while, until shards have used them.

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
from muybridge_hub.storage import Storage, StoredFile, Writer, write_all

MAX_XORB_SIZE = 65 << 20  # 64 MiB of chunks, and a footer that older clients append
MAX_SHARD_SIZE = 65 << 20
MAX_CHUNK_SIZE = 128 << 10
MAX_CHUNKS = 1 << 16  # in a xorb; clients use up to 2^13
MAX_CACHED_TABLES = 1000

CHUNK_HEADER_SIZE = 8
PLAIN, COMPRESSED, GROUPED = range(3)  # ways to store a chunk; GROUPED is compressed too
FOOTER_TAG = b"XETBLOB"

SHARD_HEADER = Struct("<32s2Q")  # tag, version, size of the footer
SHARD_TAG = b"HFRepoMetaData\0" + bytes.fromhex("556967456a7b815783a5bdd95ccdd14aa9")
SHARD_VERSION = 2
RECORD = Struct("<32s4I")  # all records of a shard: a hash and four numbers, whose meaning depends on the kind
END_OF_SECTION = b"\xff" * 32  # instead of a hash
HAS_VERIFICATION, HAS_SHA256 = 1 << 31, 1 << 30


class MissingXorb(BadRequest):
    """A term refers to a xorb that never arrived or was deleted."""


# Chunks


class ChunkHeader(NamedTuple):
    """The header of a chunk. `scheme` is the way in which it is stored."""

    compressed_size: int
    scheme: int
    size: int


def parse_chunk_header(data: bytes) -> ChunkHeader:
    version, scheme = data[0], data[4]
    compressed_size, size = int.from_bytes(data[1:4], "little"), int.from_bytes(data[5:8], "little")
    if version != 0 or scheme not in (PLAIN, COMPRESSED, GROUPED):
        raise BadRequest(
            f"a chunk has version {version} and compression {scheme}; this hub knows version 0, compression 0 to 2"
        )
    if not 0 < size <= MAX_CHUNK_SIZE or not 0 < compressed_size <= 2 * MAX_CHUNK_SIZE:
        raise BadRequest(f"a chunk has {size} bytes, {compressed_size} compressed; up to {MAX_CHUNK_SIZE} are allowed")
    return ChunkHeader(compressed_size, scheme, size)


def decompress_chunk(header: ChunkHeader, compressed: bytes) -> bytes:
    """Decompresses a chunk, into no more bytes than its header announces. The header was checked before."""
    data = compressed if header.scheme == PLAIN else decompress_lz4(compressed, header.size)
    if len(data) != header.size:
        raise BadRequest(f"a chunk does not have the {header.size} bytes that its header announces; upload it again")
    return join_groups(data) if header.scheme == GROUPED else data


def decompress_lz4(compressed: bytes, size: int) -> bytes:
    try:
        return LZ4FrameDecompressor().decompress(compressed, max_length=size + 1)
    except RuntimeError as error:
        raise BadRequest(f"a chunk is damaged; upload it again: {error}") from error


def join_groups(data: bytes) -> bytes:
    """Undoes byte grouping, where the first bytes of all 4-byte words come first, then all second bytes, and so on."""
    joined, start = bytearray(len(data)), 0
    for position in range(4):
        length = len(range(position, len(data), 4))
        joined[position::4] = data[start : start + length]
        start += length
    return bytes(joined)


def decompress_chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the decompressed chunks of a byte stream, which may be cut into pieces anywhere."""
    rest = b""
    for piece in pieces:
        rest += piece
        start = 0
        while len(rest) - start >= CHUNK_HEADER_SIZE:
            header = parse_chunk_header(rest[start : start + CHUNK_HEADER_SIZE])
            end = start + CHUNK_HEADER_SIZE + header.compressed_size
            if end > len(rest):
                break
            yield decompress_chunk(header, rest[start + CHUNK_HEADER_SIZE : end])
            start = end
        rest = rest[start:]
    if rest:
        raise BadRequest("a xorb ends within a chunk; upload it again")


class ChunkTable:
    """Finds the offsets of the chunks of a xorb, from its bytes as they arrive."""

    def __init__(self) -> None:
        self.offsets = array("I", [0])
        self.header = b""  # of the next chunk, as far as it has arrived
        self.remaining = 0  # bytes of the current chunk that have not arrived
        self.is_at_footer = False

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
        if self.header.startswith(FOOTER_TAG):
            self.is_at_footer = True
        elif len(self.offsets) > MAX_CHUNKS:
            raise TooLarge(f"a xorb has more than {MAX_CHUNKS} chunks")
        else:
            self.remaining = parse_chunk_header(self.header).compressed_size
            self.offsets.append(self.offsets[-1] + CHUNK_HEADER_SIZE + self.remaining)
        self.header = b""

    def finish(self) -> None:
        if self.remaining or self.header or len(self.offsets) == 1:
            raise BadRequest("the xorb is empty or ends within a chunk; upload it again")


# Shards


class Term(NamedTuple):
    """The chunks [start, end) of a xorb, which have `size` bytes when decompressed."""

    xorb: str
    size: int
    start: int
    end: int


class ShardFile(NamedTuple):
    """A file that a shard lists."""

    sha256: str
    size: int
    records: memoryview  # of its terms, not parsed yet, because there may be a million

    def read_terms(self) -> Iterator[Term]:
        for xorb, _, size, start, end in RECORD.iter_unpack(self.records):
            yield Term(read_hash(xorb), size, start, end)


def read_hash(data: bytes) -> str:
    """Reads a hash, which Xet writes as four little-endian numbers of 64 bits, as hexadecimal text."""
    return "".join(data[start : start + 8][::-1].hex() for start in range(0, 32, 8))


def parse_shard(data: bytes) -> list[ShardFile]:
    """Reads the files that a shard lists. Its section about xorbs is skipped: the hub has the xorbs themselves."""
    if len(data) < SHARD_HEADER.size:
        raise BadRequest(f"a shard of {len(data)} bytes is too short to be one")
    tag, version, _ = SHARD_HEADER.unpack_from(data)
    if tag != SHARD_TAG or version != SHARD_VERSION:
        raise BadRequest(f"this is not a shard of version {SHARD_VERSION}: it begins with {data[:14]!r}, {version}")
    records = RecordReader(memoryview(data), SHARD_HEADER.size)
    files = list(parse_files(records))
    while (header := records.take_header()) is not None:
        records.take(header[2])  # the chunks of a xorb
    return files


class RecordReader:
    """Reads the records of a shard, one after another."""

    def __init__(self, data: memoryview, position: int) -> None:
        self.data, self.position = data, position

    def take(self, count: int) -> memoryview:
        start, end = self.position, self.position + count * RECORD.size
        if end > len(self.data):
            raise BadRequest(f"a shard of {len(self.data)} bytes ends before its lists do; upload it again")
        self.position = end
        return self.data[start:end]

    def take_header(self) -> tuple[bytes, int, int, int, int] | None:
        """Takes the header of the section's next item; None at the end of the section."""
        header: tuple[bytes, int, int, int, int] = RECORD.unpack(self.take(1))
        return None if header[0] == END_OF_SECTION else header


def parse_files(records: RecordReader) -> Iterator[ShardFile]:
    while (header := records.take_header()) is not None:
        name, flags, num_terms = header[:3]
        terms = records.take(num_terms)
        if flags & HAS_VERIFICATION:
            records.take(num_terms)  # hashes of the chunks; the sha256 of the file is enough
        if not flags & HAS_SHA256:
            raise BadRequest(f"the shard has no sha256 for the file {read_hash(name)}; upload it with one")
        sha256 = read_hash(bytes(records.take(1)[:32]))
        yield ShardFile(sha256, sum(record[2] for record in RECORD.iter_unpack(terms)), terms)


# Storage of xorbs


class XorbFolders:
    """The folders in which the xorbs of a repository wait for their shards. Each is used for some hours.

    Clients remember for weeks which xorbs they sent to a URL, and do not send them again. The URL contains the name of
    the folder. So a new folder has a new URL, to which clients send everything. A new folder is begun when the last one
    is too old or lost, or when a xorb in it is missing. Xorbs that are older than an upload may last can be deleted.

    A small file `begun/NAME` marks a folder as in use, and its age is the age of the folder.
    """

    def __init__(self, storage: Storage, repository_id: int, hours: float) -> None:
        self.storage, self.hours = storage, hours
        self.folder = f"parts/xet/{repository_id}"

    def choose(self) -> str:
        """Chooses the folder for an upload: the newest, or a new one if that is too old. Returns its name."""
        marks = sorted(self.list_marks(), key=lambda mark: (mark.modified_at, mark.place))
        if marks and now() - marks[-1].modified_at < timedelta(hours=self.hours):
            return marks[-1].place.rpartition("/")[2]
        name = secrets.token_hex(8)
        write_all(self.storage, f"{self.folder}/begun/{name}", [name.encode()])
        return name

    def retire_all(self) -> None:
        """Makes new uploads use a new folder, so that clients send all xorbs again."""
        for mark in self.list_marks():
            self.storage.delete(mark.place)

    def list_marks(self) -> list[StoredFile]:
        """Lists the marks of the folders that are in use."""
        return list(self.storage.list(f"{self.folder}/begun"))

    def open_xorbs(self, name: str) -> "XorbStore":
        return XorbStore(self.storage, f"{self.folder}/{name}")


class XorbStore:
    """Stores and reads the xorbs in one folder. Only users who may write to the repository can add any.

    The hashes of xorbs are not verified, because the sha256 of the files that they make is.
    """

    def __init__(self, storage: Storage, folder: str) -> None:
        self.storage, self.folder = storage, folder
        self.tables: dict[str, array[int]] = {}

    def receive(self, xorb: str) -> "XorbReceiver":
        return XorbReceiver(self.storage.open_writer(f"{self.get_folder(xorb)}/chunks"))

    def read(self, file: ShardFile) -> Iterator[bytes]:
        """Yields the bytes of a file, chunk by chunk."""
        for term in file.read_terms():
            yield from self.read_term(term)

    def read_term(self, term: Term) -> Iterator[bytes]:
        """Yields the chunks of a term, and checks their total size."""
        offsets = self.find_table(term.xorb)
        if not term.start < term.end < len(offsets):
            raise BadRequest(f"there are no chunks [{term.start}, {term.end}) in the xorb {term.xorb}")
        size, place = 0, f"{self.get_folder(term.xorb)}/chunks"
        for data in decompress_chunks(self.storage.read(place, offsets[term.start], offsets[term.end])):
            size += len(data)
            yield data
        if size != term.size:
            raise BadRequest(f"the chunks of the xorb {term.xorb} have {size} bytes, not the {term.size} announced")

    def find_table(self, xorb: str) -> "array[int]":
        """Returns the offsets of the chunks of a xorb. The last tables are cached."""
        if xorb not in self.tables:
            if len(self.tables) >= MAX_CACHED_TABLES:
                self.tables.pop(next(iter(self.tables)))
            self.tables[xorb] = self.read_table(xorb)
        return self.tables[xorb]

    def read_table(self, xorb: str) -> "array[int]":
        stored = next(self.storage.list(self.get_folder(xorb)), None)
        if stored is None:
            raise MissingXorb(
                f"the xorb {xorb} is not here, because it never arrived or is too old; begin the upload again"
            )
        table = ChunkTable()
        for piece in self.storage.read(stored.place, 0, stored.size):
            table.add(piece)
        return table.offsets

    def get_folder(self, xorb: str) -> str:
        # Each xorb has its own folder, because `Storage.list` tells the size of the files in a folder.
        return f"{self.folder}/{xorb}"


class XorbReceiver:
    """Receives a xorb. If it does not consist of whole chunks, nothing of it is kept."""

    def __init__(self, writer: Writer) -> None:
        self.writer, self.table, self.received = writer, ChunkTable(), 0

    def write(self, data: bytes) -> None:
        self.received += len(data)
        if self.received > MAX_XORB_SIZE:
            raise TooLarge(f"the xorb is larger than {MAX_XORB_SIZE} bytes")
        self.table.add(data)
        self.writer.write(data)

    def keep(self) -> None:
        self.table.finish()
        self.writer.commit()

    def discard(self) -> None:
        self.writer.discard()
