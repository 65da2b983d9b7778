"""Is everything there that should be, what is there that nothing needs, and a copy of it: `check`, `gc`, `backup`."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select
from tqdm import tqdm

from muybridge_hub.contents import BLOB_COLUMNS, Blob
from muybridge_hub.database import blobs, commits, in_parts, now, refs, repositories, repository_blobs, trees
from muybridge_hub.errors import BadRequest, Damaged
from muybridge_hub.hub import Hub
from muybridge_hub.names import RepoName
from muybridge_hub.repositories import lock
from muybridge_hub.settings import Settings
from muybridge_hub.storage import Storage, open_storage, write_all
from muybridge_hub.trees import EMPTY, Trees

# Below these folders of a storage lies all that the hub writes.
FOLDERS = ("blobs", "parts", "unfinished")
BACKUP_MARK = "BACKUP"


def check(hub: Hub, *, show_progress: bool = True, forget: bool = False) -> Iterator[str]:
    """What is wrong, a line each: every reference is followed, every blob read and compared with its name.

    Contents that are damaged or lost are forgotten where that is asked for, so that they are taken when they are sent
    again.
    """
    with hub.database.read() as connection:
        yield from check_references(connection)
        stored = [Blob(*row) for row in connection.execute(select(*BLOB_COLUMNS).order_by(blobs.c.place))]
    total = sum(blob.size for blob in stored)
    with tqdm(total=total, unit="B", unit_scale=True, desc="contents", disable=None if show_progress else True) as bar:
        for blob in stored:
            try:
                hub.contents.verify(blob)
            except Damaged as error:
                if hub.contents.find(blob.sha256) == blob:  # or `gc` took it meanwhile
                    yield f"{error}; it is {', '.join(find_uses(hub, blob.sha256)) or 'in no newest commit'}"
                    if forget:
                        forget_blob(hub, blob)
            bar.update(blob.size)


def check_references(connection: Connection) -> Iterator[str]:
    """Refs lead to commits, commits to parents and folders, folders to folders and blobs, with the size they state."""
    sizes = {row.sha256: row.size for row in connection.execute(select(blobs.c.sha256, blobs.c.size))}
    known = {(row.repository, row.oid): row for row in connection.execute(select(commits))}
    names = {row.id: RepoName(row.kind, row.namespace, row.name) for row in connection.execute(select(repositories))}
    for row in connection.execute(select(refs)):
        if (row.repository, row.commit) not in known:
            yield f"{names[row.repository]}: the {row.kind} {row.name} is at the commit {row.commit}, which is missing"
    walked: dict[str, list[str]] = {}
    store = Trees()
    for (repository, oid), commit in known.items():
        if commit.parent and (repository, commit.parent) not in known:
            yield f"{names[repository]}: the commit {oid} follows {commit.parent}, which is missing"
        if commit.tree not in walked:
            walked[commit.tree] = list(check_folder(connection, store, commit.tree, sizes))
        for problem in walked[commit.tree]:
            yield f"{names[repository]}, commit {oid}: {problem}"


def check_folder(connection: Connection, store: Trees, key: str, sizes: dict[str, int]) -> Iterator[str]:
    try:
        for file in store.files(connection, key):
            size = sizes.get(file.entry.key)
            if size is None:
                yield f"the contents of {file.path}, {file.entry.key}, are missing"
            elif size != file.entry.size:
                yield f"{file.path} has {file.entry.size} bytes, its contents {size}"
    except Damaged as error:
        yield str(error)


def find_uses(hub: Hub, sha256: str) -> list[str]:
    """Where contents are needed, in the newest commit of each branch and tag."""
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
            for file in hub.repositories.trees.files(connection, row.tree)
            if file.entry.key == sha256
        ]


def forget_blob(hub: Hub, blob: Blob) -> None:
    with hub.database.write() as connection:
        connection.execute(delete(blobs).where(blobs.c.sha256 == blob.sha256, blobs.c.place == blob.place))
    hub.storage.delete(blob.place)


class Freed(NamedTuple):
    """What `gc` removed."""

    num_commits: int
    num_folders: int
    num_blobs: int
    num_leftovers: int  # of uploads that never ended
    num_bytes: int


def collect_garbage(hub: Hub, older_than: timedelta = timedelta(days=1)) -> Freed:
    """Removes what no commit leads to, also while servers run.

    What a commit comes to need, it touches in its transaction. So what nothing touched since a moment without writers,
    and was not met on a walk that began after it, nobody needs. Contents are forgotten before they are deleted, and new
    ones that are the same lie at another place. What was uploaded and awaits its commit, or broke off, stays until
    it is `older_than`.
    """
    limit, begun = now() - older_than, hub.database.quiet_moment()
    num_commits = sum(remove_commits(hub, repository, begun) for repository in repository_ids(hub))
    with hub.database.read() as connection:
        live_folders, live_blobs = walk(connection)
        all_folders, all_blobs = (set(connection.scalars(select(key))) for key in (trees.c.key, blobs.c.sha256))
    num_folders = num_blobs = num_bytes = 0
    for some in in_parts(all_folders - live_folders):
        with hub.database.write() as connection:
            is_unneeded = trees.c.key.in_(some) & (trees.c.touched_at < begun)
            num_folders += connection.execute(delete(trees).where(is_unneeded)).rowcount
    for some in in_parts(all_blobs - live_blobs):
        for row in forget_blobs(hub, some, begun, limit):
            hub.storage.delete(row.place)
            num_blobs, num_bytes = num_blobs + 1, num_bytes + row.size
    num_leftovers, leftover_bytes = remove_leftovers(hub, limit)
    return Freed(num_commits, num_folders, num_blobs, num_leftovers, num_bytes + leftover_bytes)


def forget_blobs(hub: Hub, hashes: list[str], begun: datetime, limit: datetime) -> Sequence[Any]:
    """Of contents that no commit led to, those that nobody needed since, and no commit is to come for."""
    awaited = repository_blobs.c.awaited_at >= limit
    is_awaited = select(repository_blobs.c.sha256).where(repository_blobs.c.sha256.in_(hashes), awaited)
    with hub.database.write() as connection:
        is_unneeded = blobs.c.sha256.in_(hashes) & (blobs.c.touched_at < begun) & blobs.c.sha256.not_in(is_awaited)
        gone = connection.execute(delete(blobs).where(is_unneeded).returning(*BLOB_COLUMNS)).all()
        is_gone = repository_blobs.c.sha256.in_([row.sha256 for row in gone])
        connection.execute(delete(repository_blobs).where(is_gone))
    return gone


def repository_ids(hub: Hub) -> list[int]:
    with hub.database.read() as connection:
        return list(connection.scalars(select(repositories.c.id)))


def remove_commits(hub: Hub, repository: int, limit: datetime) -> int:
    """Of one repository, the commits that no branch and no tag leads to."""
    with hub.database.write() as connection:
        lock(connection, repository)
        is_its = commits.c.repository == repository
        known = {row.oid: row for row in connection.execute(select(commits).where(is_its))}
        live: set[str] = set()
        for following in connection.scalars(select(refs.c.commit).where(refs.c.repository == repository)):
            while following in known and following not in live:
                live.add(following)
                following = known[following].parent
        dead = [oid for oid, commit in known.items() if oid not in live and commit.created_at < limit]
        for some in in_parts(dead):
            connection.execute(delete(commits).where(is_its, commits.c.oid.in_(some)))
    return len(dead)


def walk(connection: Connection) -> tuple[set[str], set[str]]:
    """The folders and the contents that commits lead to."""
    store, folders, contents = Trees(), set[str](), set[str]()
    waiting = list(connection.scalars(select(commits.c.tree).distinct()))
    while waiting:
        key = waiting.pop()
        if key in folders or key == EMPTY.key:
            continue
        folders.add(key)
        for entry in store.load(connection, key).values():
            (waiting.append if entry.is_folder else contents.add)(entry.key)
    return folders, contents


def remove_leftovers(hub: Hub, limit: datetime) -> tuple[int, int]:
    """What lies in the storage, was not written to for a while, and is no one's: uploads that broke off."""
    with hub.database.read() as connection:
        places = set(connection.scalars(select(blobs.c.place)))
    count = size = 0
    for stored in (stored for folder in FOLDERS for stored in hub.storage.list(folder)):
        if stored.place not in places and stored.modified_at < limit:
            hub.storage.delete(stored.place)
            count, size = count + 1, size + stored.size
    return count, size


def back_up(hub: Hub, target: Path, *, show_progress: bool = True) -> tuple[int, int]:
    """Copies a hub of SQLite and a folder while it is served: how many contents were new to the copy, of how many.

    First the database, at one moment; then what it refers to, which never changes: a copy made before is brought up to
    date. The copy is a root to serve from.
    """
    if not hub.database.is_sqlite or hub.storage.path("") is None:
        raise BadRequest("this hub is not in one folder; back up its database with pg_dump, then its storage")
    claim_for_backups(hub, target)
    database = Settings(root=target).database_path
    partial = database.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with (
        closing(sqlite3.connect(str(hub.database.engine.url.database))) as source,
        closing(sqlite3.connect(partial)) as to,
    ):
        source.backup(to)
    copy = open_storage(Settings(root=target).storage_url)
    present = {stored.place for stored in copy.list("blobs")}
    with closing(sqlite3.connect(partial)) as copied:
        stored = [Blob(*row) for row in copied.execute("SELECT sha256, size, place FROM blobs ORDER BY place")]
    new = [blob for blob in stored if blob.place not in present]
    for blob in tqdm(new, unit="file", desc="backup", disable=None if show_progress else True):
        copy_blob(hub, blob, copy)
    for ending in ("-wal", "-shm"):  # of a copy that was served
        database.with_name(database.name + ending).unlink(missing_ok=True)
    partial.replace(database)
    return len(new), len(stored)


def claim_for_backups(hub: Hub, target: Path) -> None:
    """Refuses a folder in which something else would be overwritten: only backups lie where a backup goes."""
    if target.exists() and not target.is_dir():
        raise BadRequest(f"{target} is a file; a backup needs a folder")
    if target.resolve() == hub.settings.root.resolve():
        raise BadRequest(f"{target} is the hub itself; name another folder")
    if target.exists() and any(target.iterdir()) and not (target / BACKUP_MARK).exists():
        raise BadRequest(
            f"{target} holds other things than a backup, perhaps a hub that is in use; name another folder"
        )
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    (target / BACKUP_MARK).write_text("A copy that `muybridge-hub backup` made; it becomes a hub when it is served.\n")


def copy_blob(hub: Hub, blob: Blob, copy: Storage) -> None:
    try:
        write_all(copy, blob.place, hub.contents.read(blob))
    except FileNotFoundError as error:
        raise BadRequest(f"{blob.sha256} is gone; if `gc` ran meanwhile, run this again, else `check`") from error
