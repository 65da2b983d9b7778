"""Where the contents of files lie: a folder of this machine, or anything that fsspec writes to by address.

A place is a relative name such as `blobs/ab/cd/abcd…`. What is written appears there whole, on `commit`, or not at all.
"""

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import fsspec

CHUNK = 1 << 20
REMOTE_CHUNK = 8 << 20
MAX_BLOCKS = 9_000  # of one object: S3 takes 10,000


class StorageError(ValueError):
    """A storage that cannot be used; the message says why and what to do."""


class Stored(NamedTuple):
    place: str
    size: int
    modified_at: datetime


class Writer(Protocol):
    def write(self, data: bytes) -> None: ...

    def commit(self) -> None:
        """All was written: from now on it is there, also after a power failure."""

    def discard(self) -> None:
        """Nothing of it shall remain. After `commit` this does nothing."""


class Storage(Protocol):
    def writer(self, place: str, size: int = 0) -> Writer:
        """`size` is how much is about to come, where that is known."""

    def read(self, place: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes [start, end), in pieces. FileNotFoundError where nothing lies."""

    def path(self, place: str) -> Path | None:
        """The file, where the storage has such: a web server sends files without looking at them."""

    def delete(self, place: str) -> None:
        """Nothing lies there any more, whatever did."""

    def list(self, folder: str) -> Iterator[Stored]:
        """All that lies below, also what was begun and never finished."""


class FolderStorage:
    """A folder: files are written aside, brought to the disk, and moved to where they belong."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            (root / "unfinished").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"the storage {root} cannot be used: {error}") from error

    def writer(self, place: str, size: int = 0) -> Writer:  # noqa: ARG002
        return FolderWriter(self.root / "unfinished" / uuid.uuid4().hex, self.root / place)

    def read(self, place: str, start: int, end: int) -> Iterator[bytes]:
        with (self.root / place).open("rb") as file:
            file.seek(start)
            while start < end and (piece := file.read(min(CHUNK, end - start))):
                start += len(piece)
                yield piece

    def path(self, place: str) -> Path | None:
        return self.root / place

    def delete(self, place: str) -> None:
        (self.root / place).unlink(missing_ok=True)

    def list(self, folder: str) -> Iterator[Stored]:
        for parent, _, names in os.walk(self.root / folder):
            for name in names:
                path = Path(parent, name)
                try:
                    facts = path.stat()
                except FileNotFoundError:
                    continue  # finished or deleted meanwhile
                modified_at = datetime.fromtimestamp(facts.st_mtime, UTC)
                yield Stored(path.relative_to(self.root).as_posix(), facts.st_size, modified_at)


class FolderWriter:
    def __init__(self, partial: Path, path: Path) -> None:
        self.partial, self.path = partial, path
        self.file = partial.open("xb", buffering=0)

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self.file.write(view) :]

    def commit(self) -> None:
        os.fsync(self.file.fileno())
        self.file.close()
        make_folders(self.path.parent)
        self.partial.rename(self.path)
        flush_folder(self.path.parent)

    def discard(self) -> None:
        self.file.close()
        self.partial.unlink(missing_ok=True)


def make_folders(folder: Path) -> None:
    if folder.is_dir():
        return
    make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    flush_folder(folder.parent)


def flush_folder(folder: Path) -> None:
    """Brings the names in a folder to the disk: a file that was moved there is found again after a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class RemoteStorage:
    """Whatever fsspec knows by address, such as s3://bucket/folder: objects appear when they are closed."""

    def __init__(self, url: str, options: dict[str, Any] | None = None) -> None:
        try:
            self.files, self.root = fsspec.core.url_to_fs(url, **(options or {}))
            self.files.ls(self.root.partition("/")[0], refresh=True)
        except Exception as error:  # every kind of storage has errors of its own
            raise StorageError(f"the storage {url} cannot be used: {error}") from error

    def writer(self, place: str, size: int = 0) -> Writer:
        block_size = max(REMOTE_CHUNK, ceil(size / MAX_BLOCKS))
        return RemoteWriter(self.files.open(self.locate(place), "wb", autocommit=False, block_size=block_size))

    def read(self, place: str, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            stop = min(start + REMOTE_CHUNK, end)
            yield self.files.cat_file(self.locate(place), start=start, end=stop)
            start = stop

    def path(self, place: str) -> Path | None:  # noqa: ARG002
        return None

    def delete(self, place: str) -> None:
        with suppress(FileNotFoundError):
            self.files.rm_file(self.locate(place))

    def list(self, folder: str) -> Iterator[Stored]:
        self.files.invalidate_cache()
        for name, facts in self.files.find(self.locate(folder), detail=True).items():
            modified_at = facts.get("LastModified") or facts.get("mtime") or datetime.now(UTC)
            yield Stored(name.removeprefix(self.root + "/"), facts["size"], modified_at)

    def locate(self, place: str) -> str:
        return f"{self.root}/{place}"


class RemoteWriter:
    def __init__(self, file: Any) -> None:
        self.file = file
        self.is_done = False

    def write(self, data: bytes) -> None:
        self.file.write(data)

    def commit(self) -> None:
        self.file.close()
        self.file.commit()
        self.is_done = True

    def discard(self) -> None:
        if self.is_done:
            return
        self.is_done = True
        self.file.discard()
        self.file.closed = True  # or leaving it to the garbage collector would write it after all


def write_all(storage: Storage, place: str, pieces: Iterable[bytes]) -> None:
    """Writes all pieces, or nothing."""
    writer = storage.writer(place)
    try:
        for piece in pieces:
            writer.write(piece)
        writer.commit()
    finally:
        writer.discard()


def open_storage(url: str) -> Storage:
    """A folder by its path, anything else by its address."""
    if "://" not in url:
        return FolderStorage(Path(url))
    if url.startswith("file://"):
        return FolderStorage(Path(url.removeprefix("file://")))
    return RemoteStorage(url)
