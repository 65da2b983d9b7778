"""The names that git gives to contents, so that what a clone would say of a repository and what we say are the same."""

import hashlib
from collections.abc import Iterable
from datetime import datetime

from muybridge_hub.names import SHA256

FILE_MODE, FOLDER_MODE = "100644", "40000"


def hash_object(kind: str, content: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()


def hash_file(content: bytes) -> str:
    return hash_object("blob", content)


def lfs_pointer(sha256: str, size: int) -> bytes:
    """The text that stands for a large file in git itself."""
    assert SHA256.fullmatch(sha256)
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def hash_tree(entries: Iterable[tuple[str, bool, str]]) -> str:
    """Of a folder's entries: name, whether it is a folder, its hash."""
    lines = []
    for name, is_folder, oid in sorted(entries, key=lambda entry: (entry[0] + "/" if entry[1] else entry[0]).encode()):
        mode = FOLDER_MODE if is_folder else FILE_MODE
        lines.append(f"{mode} {name}\0".encode() + bytes.fromhex(oid))
    return hash_object("tree", b"".join(lines))


def hash_commit(tree: str, parents: Iterable[str], author: str, date: datetime, message: str) -> str:
    who = f"{author} <{author}@hub> {int(date.timestamp())} +0000"
    head = [f"tree {tree}", *(f"parent {parent}" for parent in parents), f"author {who}", f"committer {who}"]
    return hash_object("commit", ("\n".join(head) + "\n\n" + message).encode())
