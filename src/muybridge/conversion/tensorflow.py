"""Reads checkpoints of TensorFlow (its second version, `….index` and `….data-00000-of-00001`) without TensorFlow.

The index is a sorted table of LevelDB's format: blocks of keys and values, an index block that says where they lie,
and a footer that says where that is. Its keys are the names of the tensors; a value says where in the data files the
tensor's bytes are, and what their checksum is. The value of the empty key describes the whole.
"""

import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from muybridge.conversion.errors import ConversionError
from muybridge.conversion.protobuf import ProtobufError, read_fields, read_varint, take
from muybridge.extras import extra

Checksum = Callable[[bytes], int]

FOOTER_BYTES = 48
MAGIC = 0xDB4775248B80FB57
TRAILER_BYTES = 5  # after each block: how it is compressed, and its checksum
SNAPPY = 1

# TensorFlow's numbers of the types that torch has too.
DTYPES = {
    1: torch.float32,
    2: torch.float64,
    3: torch.int32,
    4: torch.uint8,
    5: torch.int16,
    6: torch.int8,
    9: torch.int64,
    10: torch.bool,
    14: torch.bfloat16,
    19: torch.float16,
}
STRING = 7


@dataclass(frozen=True)
class Entry:
    """What the index says of one tensor."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    num_bytes: int
    checksum: int
    is_sliced: bool


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors whose index is at `path`, each with its checksum verified. Texts among them are left out."""
    checksum = load_checksum()
    num_shards, entries = read_index(path, checksum)
    tensors = {}
    for name, entry in entries.items():
        if entry.dtype != STRING:  # a description of the program that saved it
            tensors[name] = read_tensor(path, name, entry, num_shards, checksum)
    return tensors


def load_checksum() -> Checksum:
    """CRC-32C as TensorFlow stores it: rotated, and a constant added."""
    with extra("convert"):
        from google_crc32c import value

    def compute_checksum(data: bytes) -> int:
        checksum: int = value(data)
        return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF

    return compute_checksum


# The index


def read_index(path: Path, checksum: Checksum) -> tuple[int, dict[str, Entry]]:
    """The number of data files, and the entry of every tensor."""
    try:
        entries = dict(read_table(path.read_bytes(), checksum))
        num_shards = read_header(entries.pop(b"", b""))
        return num_shards, {name.decode(): read_entry(value) for name, value in entries.items()}
    except (ConversionError, struct.error, UnicodeDecodeError) as error:
        raise ConversionError(f"{path}: this index of a TensorFlow checkpoint cannot be read: {error}") from error


def read_table(table: bytes, checksum: Checksum) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a table, in order."""
    footer = memoryview(table)[-FOOTER_BYTES:]
    if len(footer) < FOOTER_BYTES or struct.unpack("<Q", footer[-8:])[0] != MAGIC:
        raise ConversionError("it does not end as one; download or copy it again")
    _metaindex, position = read_handle(footer, 0)
    index, _ = read_handle(footer, position)
    for _, handle in read_block(table, *index, checksum):
        block, _ = read_handle(memoryview(handle), 0)
        yield from read_block(table, *block, checksum)


def read_handle(data: memoryview, position: int) -> tuple[tuple[int, int], int]:
    """Where a block begins and its length, and the position after these."""
    offset, position = read_varint(data, position)
    length, position = read_varint(data, position)
    return (offset, length), position


def read_block(table: bytes, offset: int, length: int, checksum: Checksum) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of one block: of each key only what differs from the key before is stored."""
    whole = take(memoryview(table), offset, length + TRAILER_BYTES)
    compression, stored = struct.unpack("<BI", whole[length:])
    if checksum(bytes(whole[: length + 1])) != stored:
        raise ConversionError(f"the checksum of the block at byte {offset} is wrong: it is damaged")
    if compression:
        name = "snappy" if compression == SNAPPY else f"type {compression}"
        raise ConversionError(f"its blocks are compressed ({name}), which TensorFlow does not do to an index")
    block = whole[:length]
    num_restarts = struct.unpack("<I", take(block, max(0, length - 4), 4))[0]
    entries = take(block, 0, max(0, length - 4 * (num_restarts + 1)))
    key, position = b"", 0
    while position < len(entries):
        num_shared, position = read_varint(entries, position)
        num_new, position = read_varint(entries, position)
        num_value, position = read_varint(entries, position)
        key = key[:num_shared] + take(entries, position, num_new)
        position += num_new
        yield key, bytes(take(entries, position, num_value))
        position += num_value


def read_header(message: bytes) -> int:
    """The number of data files."""
    values = dict(read_fields(memoryview(message)))
    if values.get(2):
        raise ConversionError("its numbers are big-endian; only little-endian ones are read")
    return require_number(values.get(1, 0))


def read_entry(message: bytes) -> Entry:
    numbers: dict[int, int] = {}
    shape: tuple[int, ...] = ()
    is_sliced = False
    for field, value in read_fields(memoryview(message)):
        if field == 2:
            shape = tuple(read_shape(require_bytes(value)))
        elif field == 7:
            is_sliced = True
        else:
            numbers[field] = require_number(value)
    dtype, shard, offset, num_bytes, checksum = (numbers.get(field, 0) for field in (1, 3, 4, 5, 6))
    return Entry(dtype, shape, shard, offset, num_bytes, checksum, is_sliced)


def read_shape(message: memoryview) -> Iterator[int]:
    for field, dimension in read_fields(message):
        if field == 2:
            yield require_number(dict(read_fields(require_bytes(dimension))).get(1, 0))


def require_number(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise ProtobufError("a field that should be a number is not")
    return value


def require_bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ProtobufError("a field that should be a message is a number")
    return value


# The tensors


def read_tensor(path: Path, name: str, entry: Entry, num_shards: int, checksum: Checksum) -> Tensor:
    if entry.is_sliced:
        raise ConversionError(f"{path}: {name} is stored in slices, which are not read; save it whole")
    if entry.dtype not in DTYPES:
        raise ConversionError(f"{path}: {name} is of TensorFlow's type {entry.dtype}, which is not read")
    dtype = DTYPES[entry.dtype]
    if entry.num_bytes != math.prod(entry.shape) * dtype.itemsize:
        raise ConversionError(f"{path}: {name} {entry.shape} of {dtype} cannot have {entry.num_bytes} bytes")
    data = read_bytes(path, name, entry, num_shards)
    if checksum(data) != entry.checksum:
        raise ConversionError(
            f"{path}: the checksum of {name} is wrong: its bytes are damaged; download or copy the checkpoint again"
        )
    if not data:
        return torch.empty(entry.shape, dtype=dtype)
    return torch.frombuffer(bytearray(data), dtype=dtype).reshape(entry.shape)


def read_bytes(path: Path, name: str, entry: Entry, num_shards: int) -> bytes:
    shard = path.with_suffix(f".data-{entry.shard:05}-of-{num_shards:05}")
    if not shard.is_file():
        raise ConversionError(f"{path}: {shard.name} is missing beside it, which holds {name}; the two belong together")
    if shard.stat().st_size < entry.offset + entry.num_bytes:
        raise ConversionError(f"{shard}: ends before the end of {name}; download or copy it again")
    with shard.open("rb") as file:
        file.seek(entry.offset)
        return file.read(entry.num_bytes)
