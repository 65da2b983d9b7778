"""Is a file shorter than its own headers say? ffmpeg often plays what is there and says nothing."""

import os
from typing import IO

SEGMENT = b"\x18\x53\x80\x67"
EBML = b"\x1a\x45\xdf\xa3"
FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp")


def describe_truncation(file: IO[bytes]) -> str | None:
    """What is missing at the end of an MP4, AVI or Matroska file; None where nothing seems to be."""
    size = file.seek(0, os.SEEK_END)
    head = _read(file, 0, 12)
    if head[4:8] in FIRST_BOXES:
        return _missing_of_mp4(file, size)
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return _missing_of_avi(file, size)
    if head[:4] == EBML:
        return _missing_of_matroska(file, size)
    return None


def _missing_of_mp4(file: IO[bytes], size: int) -> str | None:
    """Walks the boxes at the top: each is its size, its kind, and as many bytes as it said."""
    kinds = set()
    start = 0
    while size - start >= 8:
        header = _read(file, start, 16)
        kind, length = header[4:8], int.from_bytes(header[:4], "big")
        if length == 1:  # the size did not fit and follows in 8 bytes
            length = int.from_bytes(header[8:], "big")
        elif length == 0:  # up to the end of the file
            length = size - start
        if length < 8 or not kind.isalnum():  # what follows is not known: a box of another kind, or no box at all
            return None
        kinds.add(kind)
        if start + length > size:
            return _sentence(f"its box {kind.decode()!r}", start + length, size)
        start += length
    if b"moov" not in kinds:
        return "it has no moov box, which is usually written last"
    return None


def _missing_of_avi(file: IO[bytes], size: int) -> str | None:
    """A large AVI is several RIFF lists, one behind the other."""
    start = 0
    while size - start >= 12:
        header = _read(file, start, 12)
        length = int.from_bytes(header[4:8], "little")
        unknown = length in (0, 0xFFFFFFFF)  # a recorder that was never stopped
        if header[:4] != b"RIFF" or unknown:
            break
        end = start + 8 + length
        if end > size:
            return _sentence("its RIFF list", end, size)
        start = end + length % 2
    return None


def _missing_of_matroska(file: IO[bytes], size: int) -> str | None:
    """The EBML header, then one segment that holds everything; a live stream does not know its size."""
    header_size = _matroska_size(_read(file, 4, 8))
    if header_size is None:
        return None
    start = 4 + header_size[0] + header_size[1]
    segment = _read(file, start, 12)
    if len(segment) < 12:
        return f"the file ends after {size} bytes, before its segment"
    segment_size = _matroska_size(segment[4:]) if segment[:4] == SEGMENT else None
    if segment_size is None:
        return None
    end = start + 4 + segment_size[0] + segment_size[1]
    return _sentence("its segment", end, size) if end > size else None


def _matroska_size(data: bytes) -> tuple[int, int] | None:
    """How many bytes a size takes (its leading zero bits tell), and the size; None where it is unknown."""
    num_bytes = 9 - data[0].bit_length() if data else 9
    if num_bytes > 8 or len(data) < num_bytes:
        return None
    value = int.from_bytes(data[:num_bytes], "big") & ((1 << 7 * num_bytes) - 1)
    unknown = value == (1 << 7 * num_bytes) - 1
    return None if unknown else (num_bytes, value)


def _sentence(part: str, end: int, size: int) -> str:
    return f"{part} should end at byte {end}, and the file ends at byte {size}"


def _read(file: IO[bytes], offset: int, num_bytes: int) -> bytes:
    file.seek(offset)
    return file.read(num_bytes)
