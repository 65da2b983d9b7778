"""Creates, moves and deletes repositories, branches, tags and commits. Each change is one transaction."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from muybridge_hub import git
from muybridge_hub.access import Viewer
from muybridge_hub.blob_store import Blob, BlobStore, make_insert
from muybridge_hub.database import Database, commits, now, refs, repositories, repository_tags
from muybridge_hub.errors import (
    BadRequest,
    Conflict,
    EntryNotFound,
    ParentChanged,
    RepositoryNotFound,
    RevisionNotFound,
)
from muybridge_hub.facts import read_facts
from muybridge_hub.names import OID, RepoName, check_path, check_revision_name
from muybridge_hub.trees import EMPTY_FOLDER, Entry, FolderEditor, TreeReader

logger = logging.getLogger("muybridge_hub")

MAIN_BRANCH = "main"
MAX_MESSAGE_LENGTH = 65_536


class Repository(NamedTuple):
    """A repository that was found in the database."""

    id: int
    name: RepoName
    private: bool


class Commit(NamedTuple):
    """A commit, as the database stores it."""

    oid: str  # the hash that git gives to the commit
    parent: str | None
    tree: str  # the key of the root folder
    title: str
    message: str
    author: str
    created_at: datetime


COMMIT_COLUMNS = tuple(commits.c[name] for name in Commit._fields)

# Built once, because every request needs them: SQLAlchemy takes longer to build them than SQLite to answer them.
FIND_REPOSITORY = select(repositories.c.id, repositories.c.private).where(
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
    """An operation of a commit: adds a file or replaces one. Its content was uploaded before."""

    path: str
    sha256: str
    size: int | None = None  # as the client announced it; None if it did not
    oid: str | None = None  # the git hash; None for a large file, for which git hashes a pointer


@dataclass(frozen=True)
class Delete:
    """An operation of a commit: deletes a file or a folder."""

    path: str
    is_folder: bool = False


# An SQL condition that joins repositories with their branch `main`.
IS_MAIN_BRANCH = (refs.c.repository == repositories.c.id) & (refs.c.kind == "branch") & (refs.c.name == MAIN_BRANCH)


class RepositoryStore:
    """Finds and changes repositories. Methods with a `viewer` check what the viewer may do."""

    def __init__(self, database: Database, blob_store: BlobStore) -> None:
        self.database, self.blob_store, self.trees = database, blob_store, TreeReader()

    # Repositories

    def find(self, connection: Connection, viewer: Viewer, name: RepoName) -> Repository:
        """Finds a repository. The error is the same if it does not exist and if the viewer may not see it."""
        row = connection.execute(FIND_REPOSITORY, name._asdict()).one_or_none()
        if row is None or (row.private and not viewer.can_see(name.namespace)):
            raise RepositoryNotFound(f"there is no {name}, or it is private and this token does not see it")
        return Repository(row.id, name, row.private)

    def find_writable(self, connection: Connection, viewer: Viewer, name: RepoName) -> Repository:
        """Finds a repository, and checks that the viewer may write to it."""
        repository = self.find(connection, viewer, name)
        viewer.check_can_write(name.namespace)
        return repository

    def lock_writable(self, connection: Connection, viewer: Viewer, name: RepoName) -> Repository:
        """Finds a repository to write to, and locks it until the transaction ends."""
        repository = self.find_writable(connection, viewer, name)
        lock_repository(connection, repository.id)
        return repository

    def create(self, viewer: Viewer, name: RepoName, *, private: bool = False) -> None:
        """Creates an empty repository with a first commit on the branch `main`."""
        viewer.check_can_write(name.namespace)
        row = {"kind": name.kind, "namespace": name.namespace, "name": name.name, "search_text": name.id.lower()}
        times = {"created_at": now(), "updated_at": now()}
        try:
            with self.database.write() as connection:
                adding = insert(repositories).values(**row, **times, private=private, downloads=0, facts={})
                repository_id = connection.scalars(adding.returning(repositories.c.id)).one()
                first = self.insert_commit(
                    connection, repository_id, None, EMPTY_FOLDER, viewer.name or "", "Initial commit", ""
                )
                connection.execute(
                    insert(refs).values(repository=repository_id, kind="branch", name=MAIN_BRANCH, commit=first.oid)
                )
        except IntegrityError as error:
            raise Conflict(f"{name} exists already") from error

    def delete(self, viewer: Viewer, name: RepoName) -> None:
        """Deletes a repository. Its files are removed by the next garbage collection."""
        with self.database.write() as connection:
            repository = self.lock_writable(connection, viewer, name)
            connection.execute(delete(repositories).where(repositories.c.id == repository.id))

    def move(self, viewer: Viewer, old: RepoName, new: RepoName) -> None:
        """Renames a repository, possibly into another namespace."""
        try:
            with self.database.write() as connection:
                repository = self.lock_writable(connection, viewer, old)
                viewer.check_can_write(new.namespace)
                values = {"namespace": new.namespace, "name": new.name, "search_text": new.id.lower()}
                connection.execute(update(repositories).where(repositories.c.id == repository.id).values(**values))
        except IntegrityError as error:
            raise Conflict(f"{new} exists already") from error

    def set_private(self, viewer: Viewer, name: RepoName, private: bool) -> None:
        with self.database.write() as connection:
            repository = self.lock_writable(connection, viewer, name)
            connection.execute(update(repositories).where(repositories.c.id == repository.id).values(private=private))

    # Branches, tags, commits

    def resolve(self, connection: Connection, repository: Repository, revision: str) -> Commit:
        """Finds the commit of a revision: a branch, a tag, or the first digits of a commit's oid."""
        if OID.fullmatch(revision):  # first, because someone could give a branch the name of another's commit
            row = connection.execute(FIND_COMMIT, {"repository": repository.id, "oid": revision}).one_or_none()
            if row:
                return Commit(*row)
        return self.load_commit(connection, repository, self.find_oid(connection, repository, revision))

    def load_commit(self, connection: Connection, repository: Repository, oid: str) -> Commit:
        return Commit(*connection.execute(FIND_COMMIT, {"repository": repository.id, "oid": oid}).one())

    def find_oid(self, connection: Connection, repository: Repository, revision: str) -> str:
        """Finds the oid of the commit of a revision."""
        kinds = {"refs/heads/": "branch", "refs/tags/": "tag"}
        prefix = next((prefix for prefix in kinds if revision.startswith(prefix)), "")
        parameters = {"repository": repository.id, "name": revision.removeprefix(prefix)}
        by_kind = {row.kind: row.commit for row in connection.execute(FIND_REF, parameters)}
        found = by_kind.get(kinds[prefix]) if prefix else by_kind.get("branch", by_kind.get("tag"))
        if found is None and OID.fullmatch(revision.ljust(40, "0")) and len(revision) >= 7:
            matches = (commits.c.repository == repository.id) & commits.c.oid.startswith(revision)
            candidates = connection.execute(select(commits.c.oid).where(matches).limit(2)).scalars().all()
            found = candidates[0] if len(candidates) == 1 else None
        if found is None:
            raise RevisionNotFound(f"{repository.name} has no revision {revision!r}")
        return str(found)

    def list_refs(self, connection: Connection, repository: Repository) -> Sequence[Any]:
        """Lists the branches and tags, as rows with kind, name and commit."""
        query = select(refs.c.kind, refs.c.name, refs.c.commit).where(refs.c.repository == repository.id)
        return connection.execute(query.order_by(refs.c.name)).all()

    def create_ref(self, viewer: Viewer, name: RepoName, kind: str, ref: str, revision: str = MAIN_BRANCH) -> None:
        """Creates a branch or a tag (`kind`) with the name `ref` at a revision."""
        check_revision_name(ref)
        try:
            with self.database.write() as connection:
                repository = self.lock_writable(connection, viewer, name)
                oid = self.resolve(connection, repository, revision).oid
                connection.execute(insert(refs).values(repository=repository.id, kind=kind, name=ref, commit=oid))
        except IntegrityError as error:
            raise Conflict(f"{name} has a {kind} {ref!r} already") from error

    def delete_ref(self, viewer: Viewer, name: RepoName, kind: str, ref: str) -> None:
        if (kind, ref) == ("branch", MAIN_BRANCH):
            raise BadRequest(f"the branch {MAIN_BRANCH} cannot be deleted")
        with self.database.write() as connection:
            repository = self.lock_writable(connection, viewer, name)
            if not connection.execute(delete(refs).where(*match_ref(repository, kind, ref))).rowcount:
                raise RevisionNotFound(f"{name} has no {kind} {ref!r}")

    def walk_history(self, connection: Connection, repository: Repository, oid: str) -> Iterator[Commit]:
        """Yields the commit `oid`, its parent, and so on back to the first commit."""
        query = select(*COMMIT_COLUMNS).where(commits.c.repository == repository.id)
        known = {row.oid: row for row in connection.execute(query)}
        next_oid: str | None = oid
        while next_oid and (row := known.get(next_oid)):
            yield Commit(*row)
            next_oid = row.parent

    def find_last_commits(
        self, connection: Connection, repository: Repository, oid: str, paths: Iterable[str]
    ) -> dict[str, Commit]:
        """For each path, finds the newest commit, from `oid` backwards, that changed the file or folder there.

        Compares the entries of each commit with those of the next newer one. Folders with the same key are skipped.
        """
        pending: dict[str, set[str]] = {}  # the paths without a result, by their folder
        for path in paths:
            pending.setdefault(path.rpartition("/")[0], set()).add(path)
        current: dict[str, Entry | None] = {}  # by path, at the commit `oid`
        keys: dict[str, str | None] = {}  # of the folders, at the commit before
        changed_by: dict[str, Commit] = {}
        newer: Commit | None = None
        for commit in self.walk_history(connection, repository, oid):
            for folder, folder_paths in pending.items():
                found = self.find_entry_or_none(connection, commit.tree, folder)
                key = found.key if found and found.is_folder else None
                if newer and key == keys[folder]:
                    continue
                keys[folder] = key
                entries = self.trees.load_entries(connection, key) if key else {}
                for path in tuple(folder_paths):
                    entry = entries.get(path.rpartition("/")[2])
                    if newer is None:
                        current[path] = entry
                    elif entry != current[path]:
                        changed_by[path] = newer
                        folder_paths.discard(path)
            newer = commit
            pending = {folder: folder_paths for folder, folder_paths in pending.items() if folder_paths}
            if not pending:
                break
        unchanged = [path for folder_paths in pending.values() for path in folder_paths]
        return changed_by | (dict.fromkeys(unchanged, newer) if newer else {})  # these come from the first commit

    def find_entry_or_none(self, connection: Connection, tree: str, path: str) -> Entry | None:
        try:
            return self.trees.find_entry(connection, tree, path)
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
        branch: str = MAIN_BRANCH,
        parent: str | None = None,
    ) -> Commit:
        """Commits operations to a branch, on top of its newest commit.

        With a `parent`, fails if that is not the newest commit. If the operations change nothing, makes no commit.
        """
        if not title.strip():
            raise BadRequest("the summary of the commit is empty; say what it changes")
        with self.database.write() as connection:
            repository = self.lock_writable(connection, viewer, name)
            head = self.lock_head(connection, repository, branch)
            if parent is not None and not (len(parent) >= 7 and head.oid.startswith(parent)):
                raise ParentChanged(
                    f"{branch} of {name} is now at {head.oid}, not at {parent}: look at the changes, then commit again"
                )
            root = self.apply_operations(connection, viewer, repository, head.tree, operations)
            if root.key == head.tree:
                return head
            author = viewer.name or ""
            commit = self.insert_commit(connection, repository.id, head.oid, root, author, title, message)
            self.set_head(connection, repository, branch, commit)
        if branch == MAIN_BRANCH:
            self.try_to_update_facts(repository)
        return commit

    def squash(self, viewer: Viewer, name: RepoName, branch: str, title: str) -> Commit:
        """Replaces the history of a branch by a single commit with the files of the newest one."""
        with self.database.write() as connection:
            repository = self.lock_writable(connection, viewer, name)
            head = self.lock_head(connection, repository, branch)
            root = Entry(self.hash_root(connection, head.tree), head.tree)
            commit = self.insert_commit(connection, repository.id, None, root, viewer.name or "", title, "")
            self.set_head(connection, repository, branch, commit)
        if branch == MAIN_BRANCH:
            self.try_to_update_facts(repository)
        return commit

    def hash_root(self, connection: Connection, tree: str) -> str:
        """Computes the git hash of a root folder."""
        entries = self.trees.load_entries(connection, tree)
        return git.hash_tree((name, entry.is_folder, entry.oid) for name, entry in entries.items())

    def lock_head(self, connection: Connection, repository: Repository, branch: str) -> Commit:
        """Returns the newest commit of a branch, and locks the branch until the transaction ends."""
        is_branch = match_ref(repository, "branch", branch)
        oid = connection.scalar(select(refs.c.commit).where(*is_branch).with_for_update())
        if oid is None:
            raise RevisionNotFound(f"{repository.name} has no branch {branch!r}; create it first")
        return self.load_commit(connection, repository, oid)

    def set_head(self, connection: Connection, repository: Repository, branch: str, commit: Commit) -> None:
        """Makes a commit the newest of a branch."""
        connection.execute(update(refs).where(*match_ref(repository, "branch", branch)).values(commit=commit.oid))
        is_repository = repositories.c.id == repository.id
        connection.execute(update(repositories).where(is_repository).values(updated_at=commit.created_at))

    def apply_operations(
        self,
        connection: Connection,
        viewer: Viewer,
        repository: Repository,
        tree: str,
        operations: Sequence[Add | Delete],
    ) -> Entry:
        """Applies operations to a root folder: first all deletions, then all additions. Returns the new root folder."""
        additions = [operation for operation in operations if isinstance(operation, Add)]
        hashes = [addition.sha256 for addition in additions]
        present = self.blob_store.claim(connection, viewer, repository.id, hashes, is_commit=True)
        folder = FolderEditor(self.trees, connection, tree)
        for operation in operations:
            if isinstance(operation, Delete):
                folder.remove(check_path(operation.path.rstrip("/")), is_folder=operation.is_folder)
        for addition in additions:
            folder.put(check_path(addition.path), make_entry(addition, present.get(addition.sha256)))
        return folder.save()

    def insert_commit(
        self,
        connection: Connection,
        repository_id: int,
        parent: str | None,
        root: Entry,
        author: str,
        title: str,
        message: str,
    ) -> Commit:
        created_at = now().replace(microsecond=0)
        title, message = title[:MAX_MESSAGE_LENGTH].replace("\0", ""), message[:MAX_MESSAGE_LENGTH].replace("\0", "")
        text = f"{title}\n\n{message}" if message else title
        oid = git.hash_commit(root.oid, [parent] if parent else [], author, created_at, text)
        commit = Commit(oid, parent, root.key, title, message, author, created_at)
        # Two branches may get the same commit within a second.
        adding = make_insert(connection, commits).values(repository=repository_id, **commit._asdict())
        connection.execute(adding.on_conflict_do_nothing())
        return commit

    # Facts

    def try_to_update_facts(self, repository: Repository) -> None:
        """Updates the facts. Logs any error: no card or config may undo a commit or keep the server from starting."""
        try:
            self.update_facts(repository)
        except Exception:
            logger.exception("the facts about %s cannot be read", repository.name)

    def update_facts(self, repository: Repository) -> None:
        """Reads the facts about the newest commit of `main`, and stores them for lists and searches."""
        with self.database.read() as connection:
            head = self.resolve(connection, repository, f"refs/heads/{MAIN_BRANCH}")
            files = {file.path: file.entry for file in self.trees.list_files(connection, head.tree)}
        sizes = {path: entry.size or 0 for path, entry in files.items()}
        facts = read_facts(
            repository.name.kind, sizes, lambda path, start, end: self.read_file(files[path], start, end)
        )
        columns = {name: getattr(facts, name) for name in ("pipeline_tag", "library", "architecture", "licence")}
        rest = {name: getattr(facts, name) for name in ("card", "config", "tags", "safetensors")}
        columns["facts"] = rest | {"used_storage": sum(sizes.values())}
        with self.database.write() as connection:
            lock_repository(connection, repository.id)
            if self.lock_head(connection, repository, MAIN_BRANCH).oid != head.oid:
                return  # there is a newer commit by now; whoever made it updates the facts
            is_repository = repositories.c.id == repository.id
            connection.execute(update(repositories).where(is_repository).values(described=head.oid, **columns))
            connection.execute(delete(repository_tags).where(repository_tags.c.repository == repository.id))
            rows = [{"repository": repository.id, "tag": tag} for tag in facts.tags]
            if rows:
                connection.execute(insert(repository_tags), rows)

    def update_stale_facts(self) -> None:
        """Updates the facts of repositories whose server was killed between a commit and the update."""
        columns = (repositories.c.id, repositories.c.kind, repositories.c.namespace, repositories.c.name)
        query = select(*columns, repositories.c.private).join(refs, IS_MAIN_BRANCH)
        with self.database.read() as connection:
            is_stale = repositories.c.described.is_distinct_from(refs.c.commit)
            stale = connection.execute(query.where(is_stale)).all()
        for row in stale:
            self.try_to_update_facts(Repository(row.id, RepoName(row.kind, row.namespace, row.name), row.private))

    def read_file(self, entry: Entry, start: int, end: int) -> bytes:
        """Reads the bytes [start, end) of a file."""
        blob = self.blob_store.find(entry.key)
        return b"".join(self.blob_store.read(blob, start, end)) if blob else b""


def lock_repository(connection: Connection, repository_id: int) -> None:
    """Locks a repository until the transaction ends. (SQLite has only one writer anyway.)

    Every transaction takes this lock before others, so that no two transactions deadlock.
    """
    is_repository = repositories.c.id == repository_id
    connection.execute(select(repositories.c.id).where(is_repository).with_for_update(key_share=True))


def match_ref(repository: Repository, kind: str, name: str) -> tuple[Any, ...]:
    """SQL conditions that match one branch or tag."""
    return refs.c.repository == repository.id, refs.c.kind == kind, refs.c.name == name


def make_entry(addition: Add, blob: Blob | None) -> Entry:
    if blob is None:
        raise BadRequest(f"the content of {addition.path}, {addition.sha256}, is not here; upload it before the commit")
    if addition.size is not None and addition.size != blob.size:
        raise BadRequest(f"{addition.path} was announced with {addition.size} bytes; its content has {blob.size}")
    oid = addition.oid or git.hash_file(git.make_lfs_pointer(blob.sha256, blob.size))
    return Entry(oid, blob.sha256, blob.size, is_large=addition.oid is None)
