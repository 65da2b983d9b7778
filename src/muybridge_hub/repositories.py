"""Repositories: made, moved, deleted; their branches, tags and commits. A change is one transaction."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from muybridge_hub import git
from muybridge_hub.access import Viewer
from muybridge_hub.contents import Blob, Contents, insert_into
from muybridge_hub.database import Database, commits, now, refs, repositories, repository_tags
from muybridge_hub.errors import (
    BadRequest,
    Conflict,
    EntryNotFound,
    ParentChanged,
    RepositoryNotFound,
    RevisionNotFound,
)
from muybridge_hub.facts import describe
from muybridge_hub.names import COMMIT, RepoName, check_path, check_revision_name
from muybridge_hub.trees import EMPTY, Entry, Folder, Trees

logger = logging.getLogger("muybridge_hub")

MAIN = "main"
MAX_MESSAGE = 65_536


class Repository(NamedTuple):
    id: int
    name: RepoName
    private: bool


class Commit(NamedTuple):
    oid: str
    parent: str | None
    tree: str
    title: str
    message: str
    author: str
    created_at: datetime


COMMIT_COLUMNS = tuple(commits.c[name] for name in Commit._fields)

# Asked at every request: SQLAlchemy takes longer to put such a statement together than SQLite to answer it.
FIND = select(repositories.c.id, repositories.c.private).where(
    repositories.c.kind == bindparam("kind"),
    repositories.c.namespace == bindparam("namespace"),
    repositories.c.name == bindparam("name"),
)
FIND_REF = select(refs.c.commit, refs.c.kind).where(
    refs.c.repository == bindparam("repository"), refs.c.name == bindparam("name")
)
FIND_COMMIT = select(*COMMIT_COLUMNS).where(
    commits.c.repository == bindparam("repository"), commits.c.oid == bindparam("oid")
)


@dataclass(frozen=True)
class Add:
    """A file comes, or takes the place of another. Its contents arrived before."""

    path: str
    sha256: str
    size: int | None = None  # as announced; None where it was not
    oid: str | None = None  # what git calls it; None for a large file, which git knows by a pointer


@dataclass(frozen=True)
class Delete:
    path: str
    is_folder: bool = False


# Of a repository, the newest commit of `main`.
IS_HEAD = (refs.c.repository == repositories.c.id) & (refs.c.kind == "branch") & (refs.c.name == MAIN)


class Repositories:
    def __init__(self, database: Database, contents: Contents) -> None:
        self.database, self.contents, self.trees = database, contents, Trees()

    # Which there are

    def find(self, connection: Connection, viewer: Viewer, name: RepoName) -> Repository:
        """The repository, unless there is none, or none that the viewer may know of: both look alike."""
        row = connection.execute(FIND, name._asdict()).one_or_none()
        if row is None or (row.private and not viewer.can_see(name.namespace)):
            raise RepositoryNotFound(f"there is no {name}, or it is private and this token does not see it")
        return Repository(row.id, name, row.private)

    def find_writable(self, connection: Connection, viewer: Viewer, name: RepoName) -> Repository:
        repository = self.find(connection, viewer, name)
        viewer.check_writing(name.namespace)
        return repository

    def lock_writable(self, connection: Connection, viewer: Viewer, name: RepoName) -> Repository:
        """The same for whoever is about to write: until the transaction ends, nobody else does."""
        repository = self.find_writable(connection, viewer, name)
        lock(connection, repository.id)
        return repository

    def create(self, viewer: Viewer, name: RepoName, *, private: bool = False) -> None:
        """Makes an empty repository, with a first commit and the branch `main`."""
        viewer.check_writing(name.namespace)
        row = {"kind": name.kind, "namespace": name.namespace, "name": name.name, "search_text": name.id.lower()}
        times = {"created_at": now(), "updated_at": now()}
        try:
            with self.database.write() as connection:
                adding = insert(repositories).values(**row, **times, private=private, downloads=0, facts={})
                repository = connection.scalars(adding.returning(repositories.c.id)).one()
                first = self.add_commit(connection, repository, None, EMPTY, viewer.name or "", "Initial commit", "")
                connection.execute(
                    insert(refs).values(repository=repository, kind="branch", name=MAIN, commit=first.oid)
                )
        except IntegrityError as error:
            raise Conflict(f"there is a {name} already") from error

    def delete(self, viewer: Viewer, name: RepoName) -> None:
        with self.database.write() as connection:
            repository = self.lock_writable(connection, viewer, name)
            connection.execute(delete(repositories).where(repositories.c.id == repository.id))

    def move(self, viewer: Viewer, old: RepoName, new: RepoName) -> None:
        try:
            with self.database.write() as connection:
                repository = self.lock_writable(connection, viewer, old)
                viewer.check_writing(new.namespace)
                values = {"namespace": new.namespace, "name": new.name, "search_text": new.id.lower()}
                connection.execute(update(repositories).where(repositories.c.id == repository.id).values(**values))
        except IntegrityError as error:
            raise Conflict(f"there is a {new} already") from error

    def set_private(self, viewer: Viewer, name: RepoName, private: bool) -> None:
        with self.database.write() as connection:
            repository = self.lock_writable(connection, viewer, name)
            connection.execute(update(repositories).where(repositories.c.id == repository.id).values(private=private))

    # Branches, tags, commits

    def resolve(self, connection: Connection, repository: Repository, revision: str) -> Commit:
        """The commit that a branch, a tag or the beginning of a commit's name stands for."""
        if COMMIT.fullmatch(revision):  # before branches, of which one could be named like another's commit
            row = connection.execute(FIND_COMMIT, {"repository": repository.id, "oid": revision}).one_or_none()
            if row:
                return Commit(*row)
        return self.load_commit(connection, repository, self.find_oid(connection, repository, revision))

    def load_commit(self, connection: Connection, repository: Repository, oid: str) -> Commit:
        return Commit(*connection.execute(FIND_COMMIT, {"repository": repository.id, "oid": oid}).one())

    def find_oid(self, connection: Connection, repository: Repository, revision: str) -> str:
        kinds = {"refs/heads/": "branch", "refs/tags/": "tag"}
        prefix = next((prefix for prefix in kinds if revision.startswith(prefix)), "")
        named = {"repository": repository.id, "name": revision.removeprefix(prefix)}
        by_kind = {row.kind: row.commit for row in connection.execute(FIND_REF, named)}
        found = by_kind.get(kinds[prefix]) if prefix else by_kind.get("branch", by_kind.get("tag"))
        if found is None and COMMIT.fullmatch(revision.ljust(40, "0")) and len(revision) >= 7:
            begins = (commits.c.repository == repository.id) & commits.c.oid.startswith(revision)
            candidates = connection.execute(select(commits.c.oid).where(begins).limit(2)).scalars().all()
            found = candidates[0] if len(candidates) == 1 else None
        if found is None:
            raise RevisionNotFound(f"{repository.name} has no revision {revision!r}")
        return str(found)

    def list_refs(self, connection: Connection, repository: Repository) -> Sequence[Any]:
        query = select(refs.c.kind, refs.c.name, refs.c.commit).where(refs.c.repository == repository.id)
        return connection.execute(query.order_by(refs.c.name)).all()

    def create_ref(self, viewer: Viewer, name: RepoName, kind: str, ref: str, revision: str = MAIN) -> None:
        check_revision_name(ref)
        try:
            with self.database.write() as connection:
                repository = self.lock_writable(connection, viewer, name)
                oid = self.resolve(connection, repository, revision).oid
                connection.execute(insert(refs).values(repository=repository.id, kind=kind, name=ref, commit=oid))
        except IntegrityError as error:
            raise Conflict(f"{name} has a {kind} {ref!r} already") from error

    def delete_ref(self, viewer: Viewer, name: RepoName, kind: str, ref: str) -> None:
        if (kind, ref) == ("branch", MAIN):
            raise BadRequest(f"the branch {MAIN} cannot be deleted")
        with self.database.write() as connection:
            repository = self.lock_writable(connection, viewer, name)
            if not connection.execute(delete(refs).where(*is_ref(repository, kind, ref))).rowcount:
                raise RevisionNotFound(f"{name} has no {kind} {ref!r}")

    def history(self, connection: Connection, repository: Repository, oid: str) -> Iterator[Commit]:
        """The commits from `oid` back to the first."""
        query = select(*COMMIT_COLUMNS).where(commits.c.repository == repository.id)
        known = {row.oid: row for row in connection.execute(query)}
        following: str | None = oid
        while following and (row := known.get(following)):
            yield Commit(*row)
            following = row.parent

    def last_changes(
        self, connection: Connection, repository: Repository, oid: str, paths: Iterable[str]
    ) -> dict[str, Commit]:
        """For each path, the newest commit that changed what lies there. Folders that stay the same are passed over."""
        pending: dict[str, set[str]] = {}
        for path in paths:
            pending.setdefault(path.rpartition("/")[0], set()).add(path)
        current: dict[str, Entry | None] = {}
        keys: dict[str, str | None] = {}
        changed_by: dict[str, Commit] = {}
        newer: Commit | None = None
        for commit in self.history(connection, repository, oid):
            for folder, inside in pending.items():
                found = self.find_or_none(connection, commit.tree, folder)
                key = found.key if found and found.is_folder else None
                if newer and key == keys[folder]:
                    continue
                keys[folder] = key
                entries = self.trees.load(connection, key) if key else {}
                for path in tuple(inside):
                    entry = entries.get(path.rpartition("/")[2])
                    if newer is None:
                        current[path] = entry
                    elif entry != current[path]:
                        changed_by[path] = newer
                        inside.discard(path)
            newer = commit
            pending = {folder: inside for folder, inside in pending.items() if inside}
            if not pending:
                break
        first = dict.fromkeys((path for inside in pending.values() for path in inside), newer)
        return changed_by | {path: commit for path, commit in first.items() if commit}

    def find_or_none(self, connection: Connection, tree: str, path: str) -> Entry | None:
        try:
            return self.trees.find(connection, tree, path)
        except EntryNotFound:
            return None

    def commit(
        self,
        viewer: Viewer,
        name: RepoName,
        operations: Sequence[Add | Delete],
        *,
        title: str,
        message: str = "",
        branch: str = MAIN,
        parent: str | None = None,
    ) -> Commit:
        """Makes the next commit of a branch: of the operations onto what is newest there at this moment.

        With a `parent`, only onto that one. Where nothing changes, the newest commit stays the newest.
        """
        if not title.strip():
            raise BadRequest("the summary of the commit is empty; say what it changes")
        with self.database.write() as connection:
            repository = self.lock_writable(connection, viewer, name)
            head = self.lock_head(connection, repository, branch)
            if parent is not None and not (len(parent) >= 7 and head.oid.startswith(parent)):
                raise ParentChanged(
                    f"{branch} of {name} is at {head.oid} now, not at {parent}: look at what changed, then commit again"
                )
            root = self.apply(connection, viewer, repository, head.tree, operations)
            if root.key == head.tree:
                return head
            author = viewer.name or ""
            commit = self.add_commit(connection, repository.id, head.oid, root, author, title, message)
            self.set_head(connection, repository, branch, commit)
        if branch == MAIN:
            self.describe_safely(repository)
        return commit

    def squash(self, viewer: Viewer, name: RepoName, branch: str, title: str) -> Commit:
        """Makes one commit of all that led to the newest one of a branch."""
        with self.database.write() as connection:
            repository = self.lock_writable(connection, viewer, name)
            head = self.lock_head(connection, repository, branch)
            root = Entry(self.hash_root(connection, head.tree), head.tree)
            commit = self.add_commit(connection, repository.id, None, root, viewer.name or "", title, "")
            self.set_head(connection, repository, branch, commit)
        if branch == MAIN:
            self.describe_safely(repository)
        return commit

    def hash_root(self, connection: Connection, tree: str) -> str:
        entries = self.trees.load(connection, tree)
        return git.hash_tree((name, entry.is_folder, entry.oid) for name, entry in entries.items())

    def lock_head(self, connection: Connection, repository: Repository, branch: str) -> Commit:
        """The newest commit of a branch, which stays so until the transaction ends."""
        is_it = is_ref(repository, "branch", branch)
        oid = connection.scalar(select(refs.c.commit).where(*is_it).with_for_update())
        if oid is None:
            raise RevisionNotFound(f"{repository.name} has no branch {branch!r}; create it first")
        return self.load_commit(connection, repository, oid)

    def set_head(self, connection: Connection, repository: Repository, branch: str, commit: Commit) -> None:
        connection.execute(update(refs).where(*is_ref(repository, "branch", branch)).values(commit=commit.oid))
        is_changed = repositories.c.id == repository.id
        connection.execute(update(repositories).where(is_changed).values(updated_at=commit.created_at))

    def apply(
        self,
        connection: Connection,
        viewer: Viewer,
        repository: Repository,
        tree: str,
        operations: Sequence[Add | Delete],
    ) -> Entry:
        additions = [operation for operation in operations if isinstance(operation, Add)]
        hashes = [addition.sha256 for addition in additions]
        present = self.contents.claim(connection, viewer, repository.id, hashes, is_commit=True)
        folder = Folder(self.trees, connection, tree)
        for operation in operations:
            if isinstance(operation, Delete):
                folder.remove(check_path(operation.path.rstrip("/")), is_folder=operation.is_folder)
        for addition in additions:
            folder.put(check_path(addition.path), make_entry(addition, present.get(addition.sha256)))
        return folder.save()

    def add_commit(
        self,
        connection: Connection,
        repository: int,
        parent: str | None,
        root: Entry,
        author: str,
        title: str,
        message: str,
    ) -> Commit:
        created_at = now().replace(microsecond=0)
        title, message = title[:MAX_MESSAGE].replace("\0", ""), message[:MAX_MESSAGE].replace("\0", "")
        text = f"{title}\n\n{message}" if message else title
        oid = git.hash_commit(root.oid, [parent] if parent else [], author, created_at, text)
        commit = Commit(oid, parent, root.key, title, message, author, created_at)
        # Two branches may get the same one within a second.
        adding = insert_into(connection, commits).values(repository=repository, **commit._asdict())
        connection.execute(adding.on_conflict_do_nothing())
        return commit

    # What they say of themselves

    def describe_safely(self, repository: Repository) -> None:
        """A commit is not undone by what it says of itself, and a server starts whatever its repositories say."""
        try:
            self.describe(repository)
        except Exception:
            logger.exception("what %s says of itself cannot be read", repository.name)

    def describe(self, repository: Repository) -> None:
        """Reads the card, the config and the weights of the newest commit again, for lists and searches."""
        with self.database.read() as connection:
            head = self.resolve(connection, repository, f"refs/heads/{MAIN}")
            files = {file.path: file.entry for file in self.trees.files(connection, head.tree)}
        sizes = {path: entry.size or 0 for path, entry in files.items()}
        facts = describe(repository.name.kind, sizes, lambda path, start, end: self.read(files[path], start, end))
        columns = {name: getattr(facts, name) for name in ("pipeline_tag", "library", "architecture", "licence")}
        rest = {name: getattr(facts, name) for name in ("card", "config", "tags", "safetensors")}
        columns["facts"] = rest | {"used_storage": sum(sizes.values())}
        with self.database.write() as connection:
            lock(connection, repository.id)
            if self.lock_head(connection, repository, MAIN).oid != head.oid:
                return  # whoever made the newer commit reads that one
            self_is = repositories.c.id == repository.id
            connection.execute(update(repositories).where(self_is).values(described=head.oid, **columns))
            connection.execute(delete(repository_tags).where(repository_tags.c.repository == repository.id))
            rows = [{"repository": repository.id, "tag": tag} for tag in facts.tags]
            if rows:
                connection.execute(insert(repository_tags), rows)

    def describe_stale(self) -> None:
        """Of repositories whose server was killed between a commit and reading what it says."""
        columns = (repositories.c.id, repositories.c.kind, repositories.c.namespace, repositories.c.name)
        query = select(*columns, repositories.c.private).join(refs, IS_HEAD)
        with self.database.read() as connection:
            is_stale = repositories.c.described.is_distinct_from(refs.c.commit)
            stale = connection.execute(query.where(is_stale)).all()
        for row in stale:
            self.describe_safely(Repository(row.id, RepoName(row.kind, row.namespace, row.name), row.private))

    def read(self, entry: Entry, start: int, end: int) -> bytes:
        blob = self.contents.find(entry.key)
        return b"".join(self.contents.read(blob, start, end)) if blob else b""


def lock(connection: Connection, repository: int) -> None:
    """Always the first lock that is taken, so that none wait for each other. (SQLite has one writer anyway.)"""
    is_it = repositories.c.id == repository
    connection.execute(select(repositories.c.id).where(is_it).with_for_update(key_share=True))


def is_ref(repository: Repository, kind: str, name: str) -> tuple[Any, ...]:
    return refs.c.repository == repository.id, refs.c.kind == kind, refs.c.name == name


def make_entry(addition: Add, blob: Blob | None) -> Entry:
    if blob is None:
        raise BadRequest(
            f"the contents of {addition.path}, {addition.sha256}, are not here; upload them before the commit"
        )
    if addition.size is not None and addition.size != blob.size:
        raise BadRequest(f"{addition.path} is said to have {addition.size} bytes; its contents have {blob.size}")
    oid = addition.oid or git.hash_file(git.lfs_pointer(blob.sha256, blob.size))
    return Entry(oid, blob.sha256, blob.size, is_large=addition.oid is None)
