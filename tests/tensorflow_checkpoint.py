"""Writes checkpoints of TensorFlow's second version, byte by byte, from their description."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

NUMBERS = {
    torch.float32: 1,
    torch.float64: 2,
    torch.int32: 3,
    torch.uint8: 4,
    torch.int16: 5,
    torch.int8: 6,
    torch.int64: 9,
    torch.bool: 10,
    torch.bfloat16: 14,
    torch.float16: 19,
}
MAGIC = bytes.fromhex("57fb808b247547db")


def crc32c(data: bytes) -> int:
    """The Castagnoli checksum, by the definition: a division of polynomials, bit by bit."""
    remainder = 0xFFFFFFFF
    for byte in data:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (0x82F63B78 if remainder & 1 else 0)
    return remainder ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    checksum = crc32c(data)
    rotated = (checksum >> 15) + (checksum << 17) % 2**32
    return (rotated + 0xA282EAD8) % 2**32


def varint(value: int) -> bytes:
    more = value >> 7
    return bytes([value & 127 | 128]) + varint(more) if more else bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    """A field of a protocol buffer: an integer, or bytes; nothing where it is zero, as protocol buffers have it."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value) if value else b""
    return varint(number << 3 | 2) + varint(len(value)) + value


def entry(dtype: int, shape: Sequence[int], shard: int, offset: int, data: bytes, checksum: int | None = None) -> bytes:
    dimensions = b"".join(field(2, field(1, size)) for size in shape)
    checksum = masked(data) if checksum is None else checksum
    return (
        field(1, dtype)
        + field(2, dimensions)
        + field(3, shard)
        + field(4, offset)
        + field(5, len(data))
        + varint(6 << 3 | 5)
        + struct.pack("<I", checksum)
    )


def block(pairs: Sequence[tuple[bytes, bytes]], restart_interval: int) -> bytes:
    written, restarts, before = b"", [], b""
    for index, (key, value) in enumerate(pairs):
        shared = 0
        if index % restart_interval == 0:
            restarts.append(len(written))
        else:
            while shared < min(len(key), len(before)) and key[shared] == before[shared]:
                shared += 1
        written += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    restarts = restarts or [0]
    return written + b"".join(struct.pack("<I", number) for number in (*restarts, len(restarts)))


def table(
    pairs: Mapping[bytes, bytes], entries_a_block: int = 1000, restart_interval: int = 16, compression: int = 0
) -> bytes:
    written = b""

    def append(content: bytes) -> bytes:
        """Appends a block with its trailer; where it lies."""
        nonlocal written
        handle = varint(len(written)) + varint(len(content))
        typed = content + bytes([compression])
        written += typed + struct.pack("<I", masked(typed))
        return handle

    ordered = sorted(pairs.items())
    index = []
    for first in range(0, len(ordered), entries_a_block):
        part = ordered[first : first + entries_a_block]
        index.append((part[-1][0], append(block(part, restart_interval))))
    handles = append(block([], 1)) + append(block(index, 1))
    return written + handles.ljust(40, b"\0") + MAGIC


def header(num_shards: int, endianness: int = 0) -> bytes:
    return field(1, num_shards) + field(2, endianness) + field(3, field(1, 1))


def as_bytes(tensor: Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def write_checkpoint(
    path: Path,
    tensors: Mapping[str, Tensor],
    num_shards: int = 1,
    checksums: Mapping[str, int] | None = None,
    **layout: int,
) -> Path:
    """Writes the tensors, in turn, to the data files, and their index; its path."""
    shards = [b""] * num_shards
    pairs = {b"": header(num_shards)}
    for position, (name, tensor) in enumerate(sorted(tensors.items())):
        shard, data = position % num_shards, as_bytes(tensor)
        checksum = (checksums or {}).get(name)
        number = NUMBERS[tensor.dtype]
        pairs[name.encode()] = entry(number, tensor.shape, shard, len(shards[shard]), data, checksum)
        shards[shard] += data
    for shard, data in enumerate(shards):
        (path.parent / f"{path.name}.data-{shard:05d}-of-{num_shards:05d}").write_bytes(data)
    index = path.parent / f"{path.name}.index"
    index.write_bytes(table(pairs, **layout))
    return index
