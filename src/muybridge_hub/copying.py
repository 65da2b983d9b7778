"""Copies repositories into the hub without a server: from a folder of this machine, or from another hub."""

import fnmatch
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from muybridge_hub.access import SYSTEM
from muybridge_hub.blob_store import Blob
from muybridge_hub.errors import BadRequest, Conflict, HubError
from muybridge_hub.git import hash_file
from muybridge_hub.hub import Hub
from muybridge_hub.large import SAMPLE_SIZE, is_large_file
from muybridge_hub.names import RepoName, check_path
from muybridge_hub.repositories import MAIN_BRANCH, Add, Commit, Delete

CHUNK = 1 << 20
IGNORED_PATTERNS = (".git/*", ".cache/*", ".DS_Store", "*/.DS_Store")


def import_folder(hub: Hub, folder: Path, name: RepoName, *, private: bool = False, message: str = "") -> Commit:
    """Makes a commit after which the repository has exactly the files of the folder."""
    if not folder.is_dir():
        raise BadRequest(f"{folder} is not a folder")
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    paths = {relative: path for relative, path in paths.items() if not is_ignored(relative)}
    if not paths:
        raise BadRequest(f"the folder {folder} contains no files")
    ensure_repository(hub, name, private=private)
    repository_id = find_repository_id(hub, name)
    additions = []
    with tqdm(
        total=sum(path.stat().st_size for path in paths.values()), unit="B", unit_scale=True, desc=name.id
    ) as bar:
        for relative, path in paths.items():
            blob = store_file(hub, repository_id, path, bar)
            additions.append(make_addition(hub, check_path(relative), path, blob))
    return commit_files(hub, name, additions, message or f"Import {folder.name}")


def mirror_repository(
    hub: Hub, name: RepoName, *, endpoint: str | None = None, token: str | None = None, revision: str = MAIN_BRANCH
) -> Commit:
    """Copies a revision of a repository from another hub. If it is interrupted, the next call continues.

    The commit is tagged with the id of the original commit, so that it can be downloaded by that id.
    """
    # Imported here because it takes long, and only this function needs it.
    from httpx2 import HTTPError, TransportError
    from huggingface_hub import HfApi

    source = HfApi(endpoint=endpoint, token=token)
    try:
        return copy_revision(source, hub, name, revision)
    except HTTPError as error:
        is_unreachable = isinstance(error, TransportError)
        remedy = "run this again when it answers" if is_unreachable else "check the name and the type"
        raise HubError(f"{name} cannot be copied from {source.endpoint}: {error}; {remedy}") from error


def copy_revision(source: Any, hub: Hub, name: RepoName, revision: str) -> Commit:
    """Copies a revision from another hub; `source` is an HfApi for it."""
    info = source.repo_info(name.id, repo_type=name.kind, revision=revision, files_metadata=True)
    ensure_repository(hub, name, private=bool(info.private))
    repository_id, cache = find_repository_id(hub, name), hub.settings.root / "mirrors"
    files = [file for file in info.siblings or [] if not is_ignored(file.rfilename)]
    oid = str(info.sha)
    additions = []
    with tqdm(total=sum(file.size or 0 for file in files), unit="B", unit_scale=True, desc=name.id) as bar:
        for file in files:
            # The other hub may claim any hash. So only a blob that this repository owns already is reused by its hash.
            known = hub.blob_store.find_granted(repository_id, file.lfs.sha256) if file.lfs else None
            if known:
                bar.update(known.size)
                additions.append(Add(file.rfilename, known.sha256, known.size))
                continue
            path = download_file(source, name, file.rfilename, oid, cache)
            blob = store_file(hub, repository_id, path, bar)
            additions.append(make_addition(hub, file.rfilename, path, blob, is_large=bool(file.lfs)))
            path.unlink()
    commit = commit_files(hub, name, additions, f"Mirror {oid}")
    tag_commit(hub, name, oid, commit)
    return commit


def download_file(source: Any, name: RepoName, path: str, revision: str, cache: Path) -> Path:
    """Downloads a file with the client, which continues interrupted downloads."""
    folder = cache / f"{name.kind}s" / name.namespace / name.name
    fetched = source.hf_hub_download(name.id, path, repo_type=name.kind, revision=revision, local_dir=folder)
    return Path(fetched)


def tag_commit(hub: Hub, name: RepoName, oid: str, commit: Commit) -> None:
    try:
        hub.repositories.create_ref(SYSTEM, name, "tag", oid, commit.oid)
    except Conflict:
        return  # this commit was mirrored before


def ensure_repository(hub: Hub, name: RepoName, *, private: bool) -> None:
    try:
        hub.repositories.create(SYSTEM, name, private=private)
    except Conflict:
        return


def find_repository_id(hub: Hub, name: RepoName) -> int:
    with hub.database.read() as connection:
        return hub.repositories.find(connection, SYSTEM, name).id


def store_file(hub: Hub, repository_id: int, path: Path, bar: Any) -> Blob:
    """Stores a file unless its content is here already. Reads a new file twice: first to hash it, then to store it."""
    hashing = hashlib.sha256()
    for piece in read_pieces(path):
        hashing.update(piece)
        bar.update(len(piece))
    sha256 = hashing.hexdigest()
    known = hub.blob_store.reuse(repository_id, [sha256]).get(sha256)
    return known or hub.blob_store.add(repository_id, read_pieces(path), sha256, path.stat().st_size)


def read_pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            yield piece


def make_addition(hub: Hub, name: str, path: Path, blob: Blob, *, is_large: bool | None = None) -> Add:
    """The operation that adds the stored file at `path` to a commit, under `name`."""
    if is_large is None:
        with path.open("rb") as file:
            is_large = is_large_file(name, blob.size, file.read(SAMPLE_SIZE), hub.settings.large_from)
    return Add(name, blob.sha256, blob.size, None if is_large else hash_file(path.read_bytes()))


def commit_files(hub: Hub, name: RepoName, additions: Sequence[Add], message: str) -> Commit:
    """Makes a commit after which `main` has exactly these files."""
    with hub.database.read() as connection:
        repository = hub.repositories.find(connection, SYSTEM, name)
        head = hub.repositories.resolve(connection, repository, MAIN_BRANCH)
        present = {file.path for file in hub.repositories.trees.list_files(connection, head.tree)}
    deletions = [Delete(path) for path in sorted(present - {addition.path for addition in additions})]
    return hub.repositories.commit(SYSTEM, name, [*deletions, *additions], title=message)


def is_ignored(path: str) -> bool:
    return any(fnmatch.fnmatch(path, pattern) for pattern in IGNORED_PATTERNS)
