"""Computes the hashes that git gives to files, folders and commits, so that ours equal those of a git clone."""

import hashlib
from collections.abc import Iterable
from datetime import datetime

from muybridge_hub.names import SHA256

FILE_MODE, FOLDER_MODE = "100644", "40000"


def hash_object(kind: str, content: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()


def hash_file(content: bytes) -> str:
    return hash_object("blob", content)


def make_lfs_pointer(sha256: str, size: int) -> bytes:
    """The content of the small file that git stores in place of a large one."""
    assert SHA256.fullmatch(sha256)
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def hash_tree(entries: Iterable[tuple[str, bool, str]]) -> str:
    """Hashes a folder. Each entry is a name, whether it is a folder, and its hash."""
    lines = []
    for name, is_folder, oid in sorted(entries, key=lambda entry: (entry[0] + "/" if entry[1] else entry[0]).encode()):
        mode = FOLDER_MODE if is_folder else FILE_MODE
        lines.append(f"{mode} {name}\0".encode() + bytes.fromhex(oid))
    return hash_object("tree", b"".join(lines))


def hash_commit(tree: str, parents: Iterable[str], author: str, date: datetime, message: str) -> str:
    signature = f"{author} <{author}@hub> {int(date.timestamp())} +0000"
    parent_lines = [f"parent {parent}" for parent in parents]
    header = [f"tree {tree}", *parent_lines, f"author {signature}", f"committer {signature}"]
    return hash_object("commit", ("\n".join(header) + "\n\n" + message).encode())
