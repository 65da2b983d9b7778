"""Repositories come in without a client: from a folder of this machine, or from another hub."""

import fnmatch
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from muybridge_hub.access import KEEPER
from muybridge_hub.contents import Blob
from muybridge_hub.errors import BadRequest, Conflict, HubError
from muybridge_hub.git import hash_file
from muybridge_hub.hub import Hub
from muybridge_hub.large import SAMPLE, is_large_file
from muybridge_hub.names import RepoName, check_path
from muybridge_hub.repositories import MAIN, Add, Commit, Delete

CHUNK = 1 << 20
IGNORED = (".git/*", ".cache/*", ".DS_Store", "*/.DS_Store")


def import_folder(hub: Hub, folder: Path, name: RepoName, *, private: bool = False, message: str = "") -> Commit:
    """Makes the folder's files the repository's: those that are elsewhere only are deleted there."""
    if not folder.is_dir():
        raise BadRequest(f"{folder} is not a folder")
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    paths = {name: path for name, path in paths.items() if not is_ignored(name)}
    if not paths:
        raise BadRequest(f"the folder {folder} holds no files")
    ensure(hub, name, private=private)
    repository = find_id(hub, name)
    additions = []
    with tqdm(
        total=sum(path.stat().st_size for path in paths.values()), unit="B", unit_scale=True, desc=name.id
    ) as bar:
        for relative, path in paths.items():
            blob = add_file(hub, repository, path, bar)
            additions.append(make_addition(hub, check_path(relative), path, blob))
    return commit_all(hub, name, additions, message or f"Import {folder.name}")


def mirror(
    hub: Hub, name: RepoName, *, endpoint: str | None = None, token: str | None = None, revision: str = MAIN
) -> Commit:
    """Copies a revision of a repository from another hub. What arrived stays, so a copy that broke off goes on.

    The copy can be asked for by the commit that it was copied from: that is a tag here.
    """
    # Here, because they take as long to import as all the rest, and only this needs them.
    from httpx2 import HTTPError, TransportError
    from huggingface_hub import HfApi

    source = HfApi(endpoint=endpoint, token=token)
    try:
        return copy_from(source, hub, name, revision)
    except HTTPError as error:
        remedy = "once it answers, run this again" if isinstance(error, TransportError) else "are name and type right?"
        raise HubError(f"{name} does not come from {source.endpoint}: {error}; {remedy}") from error


def copy_from(source: Any, hub: Hub, name: RepoName, revision: str) -> Commit:
    info = source.repo_info(name.id, repo_type=name.kind, revision=revision, files_metadata=True)
    ensure(hub, name, private=bool(info.private))
    repository, cache = find_id(hub, name), hub.settings.root / "mirrors"
    files = [file for file in info.siblings or [] if not is_ignored(file.rfilename)]
    oid = str(info.sha)
    additions = []
    with tqdm(total=sum(file.size or 0 for file in files), unit="B", unit_scale=True, desc=name.id) as bar:
        for file in files:
            # What another hub says of a hash is no proof of having what it stands for.
            known = hub.contents.find_own(repository, file.lfs.sha256) if file.lfs else None
            if known:
                bar.update(known.size)
                additions.append(Add(file.rfilename, known.sha256, known.size))
                continue
            path = fetch(source, name, file.rfilename, oid, cache)
            blob = add_file(hub, repository, path, bar)
            additions.append(make_addition(hub, file.rfilename, path, blob, is_large=bool(file.lfs)))
            path.unlink()
    commit = commit_all(hub, name, additions, f"Mirror {oid}")
    tag(hub, name, oid, commit)
    return commit


def fetch(source: Any, name: RepoName, path: str, revision: str, cache: Path) -> Path:
    """A file, downloaded with the client, which goes on with what it has of it."""
    folder = cache / f"{name.kind}s" / name.namespace / name.name
    fetched = source.hf_hub_download(name.id, path, repo_type=name.kind, revision=revision, local_dir=folder)
    return Path(fetched)


def tag(hub: Hub, name: RepoName, oid: str, commit: Commit) -> None:
    try:
        hub.repositories.create_ref(KEEPER, name, "tag", oid, commit.oid)
    except Conflict:
        return  # mirrored before


def ensure(hub: Hub, name: RepoName, *, private: bool) -> None:
    try:
        hub.repositories.create(KEEPER, name, private=private)
    except Conflict:
        return


def find_id(hub: Hub, name: RepoName) -> int:
    with hub.database.read() as connection:
        return hub.repositories.find(connection, KEEPER, name).id


def add_file(hub: Hub, repository: int, path: Path, bar: Any) -> Blob:
    """Reads the file twice where it is new: its hash says where it belongs."""
    hashing = hashlib.sha256()
    for piece in read_pieces(path):
        hashing.update(piece)
        bar.update(len(piece))
    sha256 = hashing.hexdigest()
    known = hub.contents.reuse(repository, [sha256]).get(sha256)
    return known or hub.contents.add(repository, read_pieces(path), sha256, path.stat().st_size)


def read_pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            yield piece


def make_addition(hub: Hub, name: str, path: Path, blob: Blob, *, is_large: bool | None = None) -> Add:
    if is_large is None:
        with path.open("rb") as file:
            is_large = is_large_file(name, blob.size, file.read(SAMPLE), hub.settings.large_from)
    return Add(name, blob.sha256, blob.size, None if is_large else hash_file(path.read_bytes()))


def commit_all(hub: Hub, name: RepoName, additions: Sequence[Add], message: str) -> Commit:
    """Makes these files all that there is on `main`."""
    with hub.database.read() as connection:
        repository = hub.repositories.find(connection, KEEPER, name)
        head = hub.repositories.resolve(connection, repository, MAIN)
        present = {file.path for file in hub.repositories.trees.files(connection, head.tree)}
    gone = [Delete(path) for path in sorted(present - {addition.path for addition in additions})]
    return hub.repositories.commit(KEEPER, name, [*gone, *additions], title=message)


def is_ignored(path: str) -> bool:
    return any(fnmatch.fnmatch(path, pattern) for pattern in IGNORED)
