"""The wire format of Protocol Buffers, read without their compiler: enough to pick fields out of a message.

A message is a row of fields, each a number and a value; a field may occur several times, and which type a value has
stands in the format's own description, not here.
"""

import struct
from collections.abc import Iterator

from muybridge.conversion.errors import ConversionError

VARINT, FIXED_64, LENGTH_DELIMITED, FIXED_32 = 0, 1, 2, 5
MAX_VARINT_BYTES = 10


class ProtobufError(ConversionError):
    """Bytes that are no message; whoever reads a file says which."""


def read_fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Each field's number and value: an unsigned integer, or the bytes of a text, a message or packed values.

    Values of four and eight bytes are given as unsigned integers too, whatever they stand for.
    """
    position = 0
    while position < len(message):
        key, position = read_varint(message, position)
        number, wire_type = key >> 3, key & 7
        if wire_type == VARINT:
            value, position = read_varint(message, position)
            yield number, value
        elif wire_type == LENGTH_DELIMITED:
            length, position = read_varint(message, position)
            yield number, take(message, position, length)
            position += length
        elif wire_type in (FIXED_32, FIXED_64):
            length, code = (4, "<I") if wire_type == FIXED_32 else (8, "<Q")
            yield number, struct.unpack(code, take(message, position, length))[0]
            position += length
        else:
            raise ProtobufError(f"field {number} has the wire type {wire_type}, which is not read here")


def read_varint(data: memoryview, position: int) -> tuple[int, int]:
    """The unsigned integer that starts at `position`, seven bits a byte, and the position after it."""
    value = 0
    for index, byte in enumerate(data[position : position + MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, position + index + 1
    raise ProtobufError(f"the integer at byte {position} has no end")


def read_varints(packed: memoryview) -> list[int]:
    """The integers of a packed field."""
    values, position = [], 0
    while position < len(packed):
        value, position = read_varint(packed, position)
        values.append(value)
    return values


def take(data: memoryview, position: int, length: int) -> memoryview:
    if position + length > len(data):
        raise ProtobufError(f"{length} bytes at byte {position} reach beyond the end at {len(data)}")
    return data[position : position + length]
