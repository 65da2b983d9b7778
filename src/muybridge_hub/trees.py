"""Folders of a repository at a commit: read by path, and changed into the folders of the next commit."""

import hashlib
import json
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, select

from muybridge_hub.contents import touch
from muybridge_hub.database import trees
from muybridge_hub.errors import BadRequest, Damaged, EntryNotFound
from muybridge_hub.git import hash_tree


class Entry(NamedTuple):
    """A file, or a folder, which has no size. `key` is the sha256 of its contents; `oid` what git calls it."""

    oid: str
    key: str
    size: int | None = None
    is_large: bool = False

    @property
    def is_folder(self) -> bool:
        return self.size is None


class File(NamedTuple):
    path: str
    entry: Entry


EMPTY = Entry(hash_tree([]), hashlib.sha256(b"{}").hexdigest())


MAX_KNOWN = 200_000  # entries: some tens of megabytes


class Trees:
    """Reads folders. They never change, so those that were read last stay at hand."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Entry]] = {}
        self.num_known = 0

    def load(self, connection: Connection, key: str) -> dict[str, Entry]:
        if key == EMPTY.key:
            return {}
        entries = self.known.get(key)
        if entries is None:
            text = connection.scalar(select(trees.c.entries).where(trees.c.key == key))
            if text is None:
                raise Damaged(f"the folder {key} is missing from the database; restore a backup")
            entries = parse_entries(text)
            self.remember(key, entries)
        return entries

    def remember(self, key: str, entries: dict[str, Entry]) -> None:
        if self.num_known + len(entries) > MAX_KNOWN:
            self.known, self.num_known = {}, 0
        if len(entries) < MAX_KNOWN:
            self.known[key] = entries
            self.num_known += len(entries) + 1

    def find(self, connection: Connection, root: str, path: str) -> Entry:
        """What lies at a path, "" being the root itself."""
        entry = Entry("", root)
        for part in path.split("/") if path else ():
            found = self.load(connection, entry.key).get(part) if entry.is_folder else None
            if found is None:
                raise EntryNotFound(f"there is no {path!r}")
            entry = found
        return entry

    def list(self, connection: Connection, key: str, prefix: str = "", *, recursive: bool = True) -> Iterator[File]:
        """All that lies in a folder, in the order of the names; folders come before what is in them."""
        for name, entry in self.load(connection, key).items():
            path = f"{prefix}/{name}" if prefix else name
            yield File(path, entry)
            if recursive and entry.is_folder:
                yield from self.list(connection, entry.key, path)

    def files(self, connection: Connection, key: str) -> Iterator[File]:
        return (file for file in self.list(connection, key) if not file.entry.is_folder)


class Folder:
    """A folder on its way to becoming another one; only what is touched is read and written."""

    def __init__(self, store: Trees, connection: Connection, key: str = EMPTY.key) -> None:
        self.store, self.connection = store, connection
        self.entries: dict[str, Entry | Folder] = dict(store.load(connection, key))

    def put(self, path: str, entry: Entry) -> None:
        name, slash, rest = path.partition("/")
        if slash:
            self.open(name, path).put(rest, entry)
        elif isinstance(known := self.entries.get(name), Folder) or (known and known.is_folder):
            raise BadRequest(f"{path} is a folder already; a file cannot take its name")
        else:
            self.entries[name] = entry

    def remove(self, path: str, *, is_folder: bool) -> None:
        name, slash, rest = path.partition("/")
        known = self.entries.get(name)
        if known is None:
            raise EntryNotFound(f"there is no {path!r} to delete")
        if slash:
            self.open(name, path).remove(rest, is_folder=is_folder)
        elif is_folder != (isinstance(known, Folder) or known.is_folder):
            raise EntryNotFound(f"{path!r} is a {'file' if is_folder else 'folder'}, not what was to be deleted")
        else:
            del self.entries[name]

    def open(self, name: str, path: str) -> "Folder":
        known = self.entries.get(name)
        if isinstance(known, Folder):
            return known
        if known and not known.is_folder:
            raise BadRequest(f"{name} is a file; {path!r} cannot lie in it")
        folder = self.entries[name] = Folder(self.store, self.connection, known.key if known else EMPTY.key)
        return folder

    def save(self) -> Entry:
        """Writes what changed. Folders that became empty vanish, as in git."""
        saved = {name: child.save() if isinstance(child, Folder) else child for name, child in self.entries.items()}
        entries = {
            name: entry for name, entry in sorted(saved.items()) if entry.key != EMPTY.key or not entry.is_folder
        }
        if not entries:
            return EMPTY
        text = json.dumps(entries, separators=(",", ":"))
        key = hashlib.sha256(text.encode()).hexdigest()
        touch(self.connection, trees, {"key": key, "entries": text})
        oid = hash_tree((name, entry.is_folder, entry.oid) for name, entry in entries.items())
        return Entry(oid, key)


def parse_entries(text: str) -> dict[str, Entry]:
    return {name: Entry(*values) for name, values in json.loads(text).items()}
