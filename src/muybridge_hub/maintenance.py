"""The commands `check`, `gc` and `backup`: finds damage, removes what nothing needs, and copies a hub."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select
from tqdm import tqdm

from muybridge_hub.blob_store import BLOB_COLUMNS, Blob
from muybridge_hub.database import blobs, commits, now, refs, repositories, repository_blobs, split_into_batches, trees
from muybridge_hub.errors import BadRequest, Damaged
from muybridge_hub.hub import Hub
from muybridge_hub.names import RepoName
from muybridge_hub.repositories import lock_repository
from muybridge_hub.settings import Settings
from muybridge_hub.storage import Storage, open_storage, write_all
from muybridge_hub.trees import EMPTY_FOLDER, TreeReader

STORAGE_FOLDERS = ("blobs", "parts", "unfinished")  # the hub writes to these folders of the storage only
BACKUP_MARK = "BACKUP"  # a file of this name marks a folder as a backup


def find_problems(hub: Hub, *, show_progress: bool = True, forget: bool = False) -> Iterator[str]:
    """Follows every reference and verifies every blob. Yields a line of text for each problem.

    With `forget`, damaged and lost blobs are removed from the database, so that they can be uploaded again.
    """
    with hub.database.read() as connection:
        yield from check_references(connection)
        all_blobs = [Blob(*row) for row in connection.execute(select(*BLOB_COLUMNS).order_by(blobs.c.place))]
    total = sum(blob.size for blob in all_blobs)
    with tqdm(total=total, unit="B", unit_scale=True, desc="files", disable=None if show_progress else True) as bar:
        for blob in all_blobs:
            try:
                hub.blob_store.verify(blob)
            except Damaged as error:
                if hub.blob_store.find(blob.sha256) == blob:  # otherwise `gc` has removed it meanwhile
                    uses = ", ".join(find_uses(hub, blob.sha256))
                    yield f"{error}; it is {uses or 'not used by the newest commit of any branch or tag'}"
                    if forget:
                        forget_blob(hub, blob)
            bar.update(blob.size)


def check_references(connection: Connection) -> Iterator[str]:
    """Checks that refs, parents, folders and blobs that are referred to exist, and that sizes agree."""
    sizes = {row.sha256: row.size for row in connection.execute(select(blobs.c.sha256, blobs.c.size))}
    known = {(row.repository, row.oid): row for row in connection.execute(select(commits))}
    names = {row.id: RepoName(row.kind, row.namespace, row.name) for row in connection.execute(select(repositories))}
    for row in connection.execute(select(refs)):
        if (row.repository, row.commit) not in known:
            yield f"{names[row.repository]}: the {row.kind} {row.name} is at the commit {row.commit}, which is missing"
    problems: dict[str, list[str]] = {}
    reader = TreeReader()
    for (repository_id, oid), commit in known.items():
        if commit.parent and (repository_id, commit.parent) not in known:
            yield f"{names[repository_id]}: the parent {commit.parent} of the commit {oid} is missing"
        if commit.tree not in problems:
            problems[commit.tree] = list(check_folder(connection, reader, commit.tree, sizes))
        for problem in problems[commit.tree]:
            yield f"{names[repository_id]}, commit {oid}: {problem}"


def check_folder(connection: Connection, reader: TreeReader, key: str, sizes: dict[str, int]) -> Iterator[str]:
    try:
        for file in reader.list_files(connection, key):
            size = sizes.get(file.entry.key)
            if size is None:
                yield f"the content of {file.path}, {file.entry.key}, is missing"
            elif size != file.entry.size:
                yield f"{file.path} should have {file.entry.size} bytes; its content has {size}"
    except Damaged as error:
        yield str(error)


def find_uses(hub: Hub, sha256: str) -> list[str]:
    """Lists the files that use a blob, in the newest commit of each branch and tag."""
    with hub.database.read() as connection:
        is_commit = (commits.c.repository == refs.c.repository) & (commits.c.oid == refs.c.commit)
        columns = (repositories.c.kind, repositories.c.namespace, repositories.c.name, refs.c.name.label("ref"))
        query = (
            select(*columns, commits.c.tree).join(refs, refs.c.repository == repositories.c.id).join(commits, is_commit)
        )
        has_it = repositories.c.id.in_(select(repository_blobs.c.repository).where(repository_blobs.c.sha256 == sha256))
        return [
            f"{file.path} of {RepoName(row.kind, row.namespace, row.name)} at {row.ref}"
            for row in connection.execute(query.where(has_it))
            for file in hub.repositories.trees.list_files(connection, row.tree)
            if file.entry.key == sha256
        ]


def forget_blob(hub: Hub, blob: Blob) -> None:
    """Removes a blob from the database, then from the storage."""
    with hub.database.write() as connection:
        connection.execute(delete(blobs).where(blobs.c.sha256 == blob.sha256, blobs.c.place == blob.place))
    hub.storage.delete(blob.place)


class RemovedGarbage(NamedTuple):
    """What `gc` removed."""

    num_commits: int
    num_folders: int
    num_blobs: int
    num_leftovers: int  # files of unfinished uploads
    num_bytes: int


def collect_garbage(hub: Hub, older_than: timedelta = timedelta(days=1)) -> RemovedGarbage:
    """Removes commits, folders and blobs that no branch or tag needs, also while servers run.

    This is safe because every commit touches, in its transaction, all rows that it needs. First, `started` is taken at
    a moment at which no transaction writes; then all reachable rows are collected. A row that is neither reachable
    nor touched since `started` is needed by nobody. A blob's row is deleted before its file; if the same content is
    uploaded again meanwhile, it gets another place, so the new file is safe. Uploads that wait for a commit, and
    unfinished ones, stay until they are `older_than`.
    """
    limit, started = now() - older_than, hub.database.get_quiet_moment()
    num_commits = sum(remove_unreachable_commits(hub, id_, started) for id_ in list_repository_ids(hub))
    with hub.database.read() as connection:
        reachable_folders, reachable_blobs = find_reachable(connection)
        all_folders, all_blobs = (set(connection.scalars(select(key))) for key in (trees.c.key, blobs.c.sha256))
    num_folders = num_blobs = num_bytes = 0
    for batch in split_into_batches(all_folders - reachable_folders):
        with hub.database.write() as connection:
            is_unneeded = trees.c.key.in_(batch) & (trees.c.touched_at < started)
            num_folders += connection.execute(delete(trees).where(is_unneeded)).rowcount
    for batch in split_into_batches(all_blobs - reachable_blobs):
        for row in forget_unreachable_blobs(hub, batch, started, limit):
            hub.storage.delete(row.place)
            num_blobs, num_bytes = num_blobs + 1, num_bytes + row.size
    num_leftovers, leftover_bytes = remove_leftovers(hub, limit)
    return RemovedGarbage(num_commits, num_folders, num_blobs, num_leftovers, num_bytes + leftover_bytes)


def forget_unreachable_blobs(hub: Hub, hashes: list[str], started: datetime, limit: datetime) -> Sequence[Any]:
    """Deletes the rows of unreachable blobs, unless they were touched since `started` or wait for a commit.

    A blob that waits longer than since `limit` is deleted too. Returns the deleted rows.
    """
    awaited = repository_blobs.c.awaited_at >= limit
    is_awaited = select(repository_blobs.c.sha256).where(repository_blobs.c.sha256.in_(hashes), awaited)
    with hub.database.write() as connection:
        is_unneeded = blobs.c.sha256.in_(hashes) & (blobs.c.touched_at < started) & blobs.c.sha256.not_in(is_awaited)
        deleted = connection.execute(delete(blobs).where(is_unneeded).returning(*BLOB_COLUMNS)).all()
        is_deleted = repository_blobs.c.sha256.in_([row.sha256 for row in deleted])
        connection.execute(delete(repository_blobs).where(is_deleted))
    return deleted


def list_repository_ids(hub: Hub) -> list[int]:
    with hub.database.read() as connection:
        return list(connection.scalars(select(repositories.c.id)))


def remove_unreachable_commits(hub: Hub, repository_id: int, limit: datetime) -> int:
    """Removes the commits of a repository that no branch or tag leads to. Returns how many there were."""
    with hub.database.write() as connection:
        lock_repository(connection, repository_id)
        in_repository = commits.c.repository == repository_id
        known = {row.oid: row for row in connection.execute(select(commits).where(in_repository))}
        reachable: set[str] = set()
        for oid in connection.scalars(select(refs.c.commit).where(refs.c.repository == repository_id)):
            while oid in known and oid not in reachable:
                reachable.add(oid)
                oid = known[oid].parent
        unreachable = [oid for oid, commit in known.items() if oid not in reachable and commit.created_at < limit]
        for batch in split_into_batches(unreachable):
            connection.execute(delete(commits).where(in_repository, commits.c.oid.in_(batch)))
    return len(unreachable)


def find_reachable(connection: Connection) -> tuple[set[str], set[str]]:
    """Returns the keys of all folders and of all blobs that commits lead to."""
    reader, folder_keys, blob_keys = TreeReader(), set[str](), set[str]()
    pending = list(connection.scalars(select(commits.c.tree).distinct()))
    while pending:
        key = pending.pop()
        if key in folder_keys or key == EMPTY_FOLDER.key:
            continue
        folder_keys.add(key)
        for entry in reader.load_entries(connection, key).values():
            (pending.append if entry.is_folder else blob_keys.add)(entry.key)
    return folder_keys, blob_keys


def remove_leftovers(hub: Hub, limit: datetime) -> tuple[int, int]:
    """Deletes files of the storage that are no blobs and older than `limit`. Returns their number and total size."""
    with hub.database.read() as connection:
        places = set(connection.scalars(select(blobs.c.place)))
    count = size = 0
    for stored in (stored for folder in STORAGE_FOLDERS for stored in hub.storage.list(folder)):
        if stored.place not in places and stored.modified_at < limit:
            hub.storage.delete(stored.place)
            count, size = count + 1, size + stored.size
    return count, size


def back_up(hub: Hub, target: Path, *, show_progress: bool = True) -> tuple[int, int]:
    """Copies a hub (SQLite and a folder) to the folder `target`, also while it is served.

    Copies a snapshot of the database first, then the blobs that it refers to and that an earlier backup in `target`
    does not have: blobs never change. The copy can be served. Returns how many blobs were new, and how many there are.
    """
    if not hub.database.is_sqlite or hub.storage.get_local_path("") is None:
        raise BadRequest("this hub is not in one folder; back up its database with pg_dump, then its storage")
    prepare_backup_folder(hub, target)
    database = Settings(root=target).database_path
    partial = database.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with (
        closing(sqlite3.connect(str(hub.database.engine.url.database))) as source,
        closing(sqlite3.connect(partial)) as snapshot,
    ):
        source.backup(snapshot)
    target_storage = open_storage(Settings(root=target).storage_url)
    present = {stored.place for stored in target_storage.list("blobs")}
    with closing(sqlite3.connect(partial)) as snapshot:
        all_blobs = [Blob(*row) for row in snapshot.execute("SELECT sha256, size, place FROM blobs ORDER BY place")]
    new_blobs = [blob for blob in all_blobs if blob.place not in present]
    for blob in tqdm(new_blobs, unit="file", desc="backup", disable=None if show_progress else True):
        copy_blob(hub, blob, target_storage)
    for ending in ("-wal", "-shm"):  # left by SQLite if the earlier backup was served
        database.with_name(database.name + ending).unlink(missing_ok=True)
    partial.replace(database)
    return len(new_blobs), len(all_blobs)


def prepare_backup_folder(hub: Hub, target: Path) -> None:
    """Creates and marks the folder of a backup. Refuses a folder that is not empty and not an earlier backup."""
    if target.exists() and not target.is_dir():
        raise BadRequest(f"{target} is a file; a backup needs a folder")
    if target.resolve() == hub.settings.root.resolve():
        raise BadRequest(f"{target} is the hub itself; name another folder")
    if target.exists() and any(target.iterdir()) and not (target / BACKUP_MARK).exists():
        raise BadRequest(
            f"{target} is not empty and not a backup, but perhaps a hub that is in use; name another folder"
        )
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    (target / BACKUP_MARK).write_text("A backup made by `muybridge-hub backup`. Serving it makes it a normal hub.\n")


def copy_blob(hub: Hub, blob: Blob, target_storage: Storage) -> None:
    try:
        write_all(target_storage, blob.place, hub.blob_store.read(blob))
    except FileNotFoundError as error:
        raise BadRequest(
            f"{blob.sha256} is missing; if `gc` ran meanwhile, run this again, otherwise run `check`"
        ) from error
