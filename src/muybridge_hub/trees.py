"""Folders of a repository at a commit: read by path, and changed into the folders of the next commit."""

import hashlib
import json
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, select

from muybridge_hub.blob_store import touch
from muybridge_hub.database import trees
from muybridge_hub.errors import BadRequest, Damaged, EntryNotFound
from muybridge_hub.git import hash_tree


class Entry(NamedTuple):
    """A file or a folder; folders have no size. `key` is the sha256 of its content, `oid` is its hash in git."""

    oid: str
    key: str
    size: int | None = None
    is_large: bool = False

    @property
    def is_folder(self) -> bool:
        return self.size is None


class File(NamedTuple):
    """A file or a folder, with its path in the repository."""

    path: str
    entry: Entry


EMPTY_FOLDER = Entry(hash_tree([]), hashlib.sha256(b"{}").hexdigest())

MAX_CACHED_ENTRIES = 200_000  # a few tens of megabytes


class TreeReader:
    """Reads folders, and caches them: the folder of a key never changes."""

    def __init__(self) -> None:
        self.cache: dict[str, dict[str, Entry]] = {}
        self.num_cached = 0

    def load_entries(self, connection: Connection, key: str) -> dict[str, Entry]:
        """Returns the entries of a folder by their names."""
        if key == EMPTY_FOLDER.key:
            return {}
        entries = self.cache.get(key)
        if entries is None:
            text = connection.scalar(select(trees.c.entries).where(trees.c.key == key))
            if text is None:
                raise Damaged(f"the folder {key} is missing from the database; restore a backup")
            entries = parse_entries(text)
            self.remember(key, entries)
        return entries

    def remember(self, key: str, entries: dict[str, Entry]) -> None:
        """Adds a folder to the cache. Empties the cache first if it is full."""
        if self.num_cached + len(entries) > MAX_CACHED_ENTRIES:
            self.cache, self.num_cached = {}, 0
        if len(entries) < MAX_CACHED_ENTRIES:
            self.cache[key] = entries
            self.num_cached += len(entries) + 1

    def find_entry(self, connection: Connection, root: str, path: str) -> Entry:
        """Finds the file or folder at a path below a root folder. The path "" is the root folder itself."""
        entry = Entry("", root)
        for part in path.split("/") if path else ():
            found = self.load_entries(connection, entry.key).get(part) if entry.is_folder else None
            if found is None:
                raise EntryNotFound(f"there is no {path!r}")
            entry = found
        return entry

    def list_entries(
        self, connection: Connection, key: str, prefix: str = "", *, recursive: bool = True
    ) -> Iterator[File]:
        """Yields the files and folders in a folder, in the order of their names; a folder before its content."""
        for name, entry in self.load_entries(connection, key).items():
            path = f"{prefix}/{name}" if prefix else name
            yield File(path, entry)
            if recursive and entry.is_folder:
                yield from self.list_entries(connection, entry.key, path)

    def list_files(self, connection: Connection, key: str) -> Iterator[File]:
        """Yields all files below a folder."""
        return (file for file in self.list_entries(connection, key) if not file.entry.is_folder)


class FolderEditor:
    """Changes a folder in memory, and saves it as a new folder. Reads and writes only the subfolders that change."""

    def __init__(self, reader: TreeReader, connection: Connection, key: str = EMPTY_FOLDER.key) -> None:
        self.reader, self.connection = reader, connection
        self.entries: dict[str, Entry | FolderEditor] = dict(reader.load_entries(connection, key))

    def put(self, path: str, entry: Entry) -> None:
        """Adds a file or replaces one."""
        name, slash, rest = path.partition("/")
        if slash:
            self.open(name, path).put(rest, entry)
        elif isinstance(known := self.entries.get(name), FolderEditor) or (known and known.is_folder):
            raise BadRequest(f"{path} is a folder; a file cannot have the same name")
        else:
            self.entries[name] = entry

    def remove(self, path: str, *, is_folder: bool) -> None:
        """Removes a file or a folder."""
        name, slash, rest = path.partition("/")
        known = self.entries.get(name)
        if known is None:
            raise EntryNotFound(f"there is no {path!r} to delete")
        if slash:
            self.open(name, path).remove(rest, is_folder=is_folder)
        elif is_folder != (isinstance(known, FolderEditor) or known.is_folder):
            kind, expected = ("file", "folder") if is_folder else ("folder", "file")
            raise EntryNotFound(f"{path!r} is a {kind}; the commit would delete a {expected}")
        else:
            del self.entries[name]

    def open(self, name: str, path: str) -> "FolderEditor":
        """Opens the subfolder `name`, or creates it. `path` is for error messages only."""
        known = self.entries.get(name)
        if isinstance(known, FolderEditor):
            return known
        if known and not known.is_folder:
            raise BadRequest(f"{name} is a file; {path!r} cannot be in it")
        folder = self.entries[name] = FolderEditor(
            self.reader, self.connection, known.key if known else EMPTY_FOLDER.key
        )
        return folder

    def save(self) -> Entry:
        """Saves the folder and its changed subfolders. Empty folders are left out, as in git."""
        saved = {
            name: child.save() if isinstance(child, FolderEditor) else child for name, child in self.entries.items()
        }
        entries = {
            name: entry for name, entry in sorted(saved.items()) if entry.key != EMPTY_FOLDER.key or not entry.is_folder
        }
        if not entries:
            return EMPTY_FOLDER
        text = json.dumps(entries, separators=(",", ":"))
        key = hashlib.sha256(text.encode()).hexdigest()
        touch(self.connection, trees, {"key": key, "entries": text})
        oid = hash_tree((name, entry.is_folder, entry.oid) for name, entry in entries.items())
        return Entry(oid, key)


def parse_entries(text: str) -> dict[str, Entry]:
    return {name: Entry(*values) for name, values in json.loads(text).items()}
