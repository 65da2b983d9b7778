"""Stores bytes in a folder of this machine, or in any remote storage that fsspec supports.

A place is the name of stored bytes, a relative path such as `blobs/ab/cd/abcd…`. Written bytes appear at their place
all at once, on `commit`, or not at all.
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
MAX_BLOCKS = 9_000  # of one object: S3 allows 10,000


class StorageError(ValueError):
    """A storage that cannot be used; the message says why and what to do."""


class StoredFile(NamedTuple):
    """An entry in the list of a folder."""

    place: str
    size: int
    modified_at: datetime


class Writer(Protocol):
    """Writes bytes to one place."""

    def write(self, data: bytes) -> None: ...

    def commit(self) -> None:
        """Completes the writing: from now on the bytes are at their place, even after a power failure."""

    def discard(self) -> None:
        """Cancels the writing: nothing is kept. After `commit`, this does nothing."""


class Storage(Protocol):
    """Stores bytes at places."""

    def open_writer(self, place: str, size: int = 0) -> Writer:
        """Starts to write to a place. `size` is the expected number of bytes, if known."""

    def read(self, place: str, start: int, end: int) -> Iterator[bytes]:
        """Yields the bytes [start, end) of a place in pieces. Raises FileNotFoundError if nothing is there."""

    def get_local_path(self, place: str) -> Path | None:
        """The local file of a place, if the storage has local files: a server can send those faster."""

    def delete(self, place: str) -> None:
        """Deletes what is at a place, if anything is."""

    def list(self, folder: str) -> Iterator[StoredFile]:
        """Yields everything stored below a folder, including files of unfinished writes."""


class FolderStorage:
    """Stores files in a folder. They are written to a temporary file, synced to disk, and then moved to their place."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            (root / "unfinished").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"the storage {root} cannot be used: {error}") from error

    def open_writer(self, place: str, size: int = 0) -> Writer:  # noqa: ARG002
        return FolderWriter(self.root / "unfinished" / uuid.uuid4().hex, self.root / place)

    def read(self, place: str, start: int, end: int) -> Iterator[bytes]:
        with (self.root / place).open("rb") as file:
            file.seek(start)
            while start < end and (piece := file.read(min(CHUNK, end - start))):
                start += len(piece)
                yield piece

    def get_local_path(self, place: str) -> Path | None:
        return self.root / place

    def delete(self, place: str) -> None:
        (self.root / place).unlink(missing_ok=True)

    def list(self, folder: str) -> Iterator[StoredFile]:
        for parent, _, names in os.walk(self.root / folder):
            for name in names:
                path = Path(parent, name)
                try:
                    facts = path.stat()
                except FileNotFoundError:
                    continue  # moved or deleted meanwhile
                modified_at = datetime.fromtimestamp(facts.st_mtime, UTC)
                yield StoredFile(path.relative_to(self.root).as_posix(), facts.st_size, modified_at)


class FolderWriter:
    """Writes to a temporary file, and moves it to its place on `commit`."""

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
        sync_folder(self.path.parent)

    def discard(self) -> None:
        self.file.close()
        self.partial.unlink(missing_ok=True)


def make_folders(folder: Path) -> None:
    """Creates a folder and its parents, and syncs them to disk."""
    if folder.is_dir():
        return
    make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Syncs a folder's list of names to disk, so that a file moved into it is still there after a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class RemoteStorage:
    """Stores objects at a URL that fsspec supports, such as s3://bucket/folder."""

    def __init__(self, url: str, options: dict[str, Any] | None = None) -> None:
        try:
            self.files, self.root = fsspec.core.url_to_fs(url, **(options or {}))
            self.files.ls(self.root.partition("/")[0], refresh=True)
        except Exception as error:  # each kind of storage raises errors of different types
            raise StorageError(f"the storage {url} cannot be used: {error}") from error

    def open_writer(self, place: str, size: int = 0) -> Writer:
        block_size = max(REMOTE_CHUNK, ceil(size / MAX_BLOCKS))
        return RemoteWriter(self.files.open(self.get_full_path(place), "wb", autocommit=False, block_size=block_size))

    def read(self, place: str, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            stop = min(start + REMOTE_CHUNK, end)
            yield self.files.cat_file(self.get_full_path(place), start=start, end=stop)
            start = stop

    def get_local_path(self, place: str) -> Path | None:  # noqa: ARG002
        return None

    def delete(self, place: str) -> None:
        with suppress(FileNotFoundError):
            self.files.rm_file(self.get_full_path(place))

    def list(self, folder: str) -> Iterator[StoredFile]:
        self.files.invalidate_cache()
        for name, facts in self.files.find(self.get_full_path(folder), detail=True).items():
            modified_at = facts.get("LastModified") or facts.get("mtime") or datetime.now(UTC)
            yield StoredFile(name.removeprefix(self.root + "/"), facts["size"], modified_at)

    def get_full_path(self, place: str) -> str:
        return f"{self.root}/{place}"


class RemoteWriter:
    """Writes to an object, which appears on `commit`."""

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
        self.file.closed = True  # otherwise Python's garbage collector would close it, which writes it


def write_all(storage: Storage, place: str, pieces: Iterable[bytes]) -> None:
    """Writes all pieces to a place, or nothing."""
    writer = storage.open_writer(place)
    try:
        for piece in pieces:
            writer.write(piece)
        writer.commit()
    finally:
        writer.discard()


def open_storage(url: str) -> Storage:
    """Opens a storage: a path or a file:// URL is a folder, any other URL is for fsspec."""
    if "://" not in url:
        return FolderStorage(Path(url))
    if url.startswith("file://"):
        return FolderStorage(Path(url.removeprefix("file://")))
    return RemoteStorage(url)
