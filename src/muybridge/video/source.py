"""Where a video comes from: a path, bytes, a file object or a web address, opened as often as one likes."""

import contextlib
import io
import os
import shutil
import tempfile
import threading
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

from muybridge.video.errors import VideoError

DOWNLOAD_TIMEOUT_SECONDS = 30  # without a single byte arriving


class Source(ABC):
    """Something that holds the bytes of a video; `name` is how errors call it."""

    name: str

    @abstractmethod
    def open_file(self) -> IO[bytes]:
        """A new file object over the bytes, with a position of its own."""

    def open_for_ffmpeg(self) -> Any:
        """What `av.open` is given."""
        return self.open_file()

    def close(self) -> None:  # noqa: B027 - most sources hold nothing
        """Gives back what the source holds; it cannot be opened any more."""


class PathSource(Source):
    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(path)

    def open_file(self) -> IO[bytes]:
        try:
            return Path(self.name).open("rb")
        except OSError as error:
            raise VideoError(self.name, _explain(error)) from error

    def open_for_ffmpeg(self) -> str:
        # With the protocol named, a colon in a file's name does not make ffmpeg look for a protocol of that
        # name.
        return f"file:{self.name}"


class BytesSource(Source):
    def __init__(self, data: bytes) -> None:
        self.name = f"<{len(data)} bytes>"
        self._data = data

    def open_file(self) -> IO[bytes]:
        return io.BytesIO(self._data)


class FileObjectSource(Source):
    """A file object that somebody else opened and will close; it is read from its beginning."""

    def __init__(self, file: IO[bytes]) -> None:
        self.name = str(getattr(file, "name", f"<{type(file).__name__}>"))
        self._file = file if file.seekable() else _spool(file)
        self._lock = threading.Lock()
        self._process_id = os.getpid()

    def open_file(self) -> IO[bytes]:
        return io.BufferedReader(_View(self._read_at, self._file.seek(0, os.SEEK_END)))

    def _read_at(self, offset: int, num_bytes: int) -> bytes:
        if os.getpid() != self._process_id:
            # Both processes move the one position of the open file, and so would read each other's bytes.
            raise VideoError(self.name, "a file object cannot be read in another process", "pass its path or bytes")
        with self._lock:
            self._file.seek(offset)
            return self._file.read(num_bytes)

    def __reduce__(self) -> Any:
        raise TypeError(f"{self.name}: a file object cannot go to another process; pass its path or bytes")


class UrlSource(Source):
    """A web address, downloaded once to a nameless temporary file that disappears with the source."""

    def __init__(self, url: str) -> None:
        self.name = url
        self._file = _download(url)
        self._size = self._file.seek(0, os.SEEK_END)

    def open_file(self) -> IO[bytes]:
        # pread moves no shared position, so a forked worker can go on reading the parent's download.
        view = _View(lambda offset, num_bytes: os.pread(self._file.fileno(), num_bytes, offset), self._size)
        return io.BufferedReader(view)

    def close(self) -> None:
        self._file.close()

    def __reduce__(self) -> Any:
        return type(self), (self.name,)


class BorrowedSource(Source):
    """A source that somebody else will close, as several readers share it."""

    def __init__(self, lender: Source) -> None:
        self.name = lender.name
        self._lender = lender

    def open_file(self) -> IO[bytes]:
        return self._lender.open_file()

    def open_for_ffmpeg(self) -> Any:
        return self._lender.open_for_ffmpeg()


def make_source(source: Any) -> Source:
    """The `Source` of whatever a user names a video by."""
    if isinstance(source, Source):
        return source
    if isinstance(source, str) and source.startswith(("http://", "https://")):
        return UrlSource(source)
    if isinstance(source, str | os.PathLike):
        return PathSource(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return BytesSource(bytes(source))
    if hasattr(source, "read"):
        return FileObjectSource(source)
    raise TypeError(f"a video is a path, bytes, a file object or an http(s) address, not {type(source).__name__}")


class _View(io.RawIOBase):
    """A read-only file over a function that reads at an offset, with a position of its own."""

    def __init__(self, read_at: Callable[[int, int], bytes], size: int) -> None:
        self._read_at = read_at
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        data = self._read_at(self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def _spool(file: IO[bytes]) -> IO[bytes]:
    """The rest of a pipe or a socket as a temporary file, for ffmpeg has to go back and forth."""
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - the source owns it
    shutil.copyfileobj(file, spool)
    return spool


def _download(url: str) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the source owns it
    with contextlib.ExitStack() as on_failure:
        on_failure.callback(file.close)
        _copy_url(url, file)
        on_failure.pop_all()
    return file


def _copy_url(url: str, file: IO[bytes]) -> None:
    request = urllib.request.Request(url, headers={"User-Agent": "muybridge"})
    try:
        with urllib.request.urlopen(request, timeout=DOWNLOAD_TIMEOUT_SECONDS) as response:
            shutil.copyfileobj(response, file)
            promised = response.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        raise VideoError(url, f"the server answered {error.code} {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise VideoError(url, f"the download failed: {getattr(error, 'reason', error)}") from error
    if promised is not None and file.tell() < int(promised):
        raise VideoError(url, f"the download ended after {file.tell()} of {promised} bytes")


def _explain(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError):
        return "this is a folder"
    return f"the file cannot be opened: {error.strerror}"
