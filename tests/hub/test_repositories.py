"""Commits, folders and garbage collection, without a server."""

import hashlib
import os
import subprocess
import threading
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from hub_client import Client
from hub_server import serve_hub
from muybridge_hub.access import SYSTEM
from muybridge_hub.database import repositories
from muybridge_hub.errors import BadRequest, EntryNotFound, NotFound
from muybridge_hub.git import hash_file
from muybridge_hub.hub import Hub
from muybridge_hub.maintenance import collect_garbage, find_problems
from muybridge_hub.names import RepoName
from muybridge_hub.repositories import Add, Delete
from muybridge_hub.settings import Settings

MODEL = RepoName("model", "lab", "model")


@pytest.fixture
def hub(tmp_path):
    hub = Hub(Settings(root=tmp_path / "hub"))
    hub.repositories.create(SYSTEM, MODEL)
    yield hub
    hub.close()


def find_id(hub: Hub) -> int:
    with hub.database.read() as connection:
        return hub.repositories.find(connection, SYSTEM, MODEL).id


def commit(
    hub: Hub, files: dict[str, bytes], deleted: tuple[Delete, ...] = (), title: str = "A title", message: str = ""
):
    blobs = hub.blob_store.add_all(find_id(hub), list(files.values()))
    additions = [
        Add(path, blob.sha256, blob.size, hash_file(data))
        for (path, data), blob in zip(files.items(), blobs, strict=True)
    ]
    return hub.repositories.commit(SYSTEM, MODEL, [*deleted, *additions], title=title, message=message)


def list_paths(hub: Hub) -> list[str]:
    with hub.database.read() as connection:
        repository = hub.repositories.find(connection, SYSTEM, MODEL)
        head = hub.repositories.resolve(connection, repository, "main")
        return [file.path for file in hub.repositories.trees.list_files(connection, head.tree)]


def test_folders_and_commits_have_the_hashes_that_git_gives_them(hub, tmp_path):
    files = {"a.txt": b"a", "a/b.txt": b"b", "a.b/ü ß.txt": b"c", "deep/er/still": b"\0\1\2", "a-b": b"", "B": b"B"}
    first = commit(hub, files, title="Ein Titel", message="Mehr dazu:\n\n- und mehr")
    second = commit(hub, {"B": b"changed"})
    git = Git(tmp_path / "git")
    for path, content in files.items():
        (git.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (git.folder / path).write_bytes(content)
    git.run("init", "-q")
    parent = ""
    with hub.database.read() as connection:
        repository = hub.repositories.find(connection, SYSTEM, MODEL)
        for known in reversed(list(hub.repositories.walk_history(connection, repository, second.oid))):
            if known == first:
                git.run("add", "--all")
            elif known == second:
                (git.folder / "B").write_bytes(b"changed")
                git.run("add", "--all")
            tree = git.run("write-tree")
            assert hub.repositories.hash_root(connection, known.tree) == tree
            text = f"{known.title}\n\n{known.message}" if known.message else known.title
            parents = ("-p", parent) if parent else ()
            parent = git.run("commit-tree", tree, *parents, stdin=text, date=int(known.created_at.timestamp()))
            assert known.oid == parent


@dataclass
class Git:
    folder: Path

    def run(self, *arguments: str, stdin: str | None = None, date: int = 0) -> str:
        identity = {"NAME": "muybridge-hub", "EMAIL": "muybridge-hub@hub", "DATE": f"{date} +0000"}
        names = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in identity.items()}
        done = subprocess.run(
            ["git", "-C", self.folder, *arguments],
            input=stdin,
            env=os.environ | names,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()


def test_a_commit_changes_only_what_it_names(hub):
    commit(hub, {"a/1": b"1", "a/2": b"2", "b/3": b"3"})
    commit(hub, {"a/4": b"4", "b": b"now a file"}, (Delete("a/1"), Delete("b", is_folder=True)))
    assert list_paths(hub) == ["a/2", "a/4", "b"]
    same = commit(hub, {"a/2": b"2"})
    assert same.title == "A title"
    with hub.database.read() as connection:
        repository = hub.repositories.find(connection, SYSTEM, MODEL)
        assert len(list(hub.repositories.walk_history(connection, repository, same.oid))) == 3, (
            "nothing changed, no commit"
        )


@pytest.mark.parametrize(
    ("files", "deleted", "error", "message"),
    [
        ({"a": b""}, (), BadRequest, "a is a folder; a file cannot have the same name"),
        ({"a/1/x": b""}, (), BadRequest, "1 is a file"),
        ({"../x": b""}, (), BadRequest, "paths are relative"),
        ({}, (Delete("none"),), EntryNotFound, "there is no 'none' to delete"),
        ({}, (Delete("a"),), EntryNotFound, "'a' is a folder; the commit would delete a file"),
    ],
)
def test_an_invalid_commit_changes_nothing(hub, files, deleted, error, message):
    commit(hub, {"a/1": b"1"})
    with pytest.raises(error, match=message):
        commit(hub, {"fine": b"fine"} | files, deleted)
    assert list_paths(hub) == ["a/1"]


def test_an_upload_to_a_deleted_repository_is_refused_and_collected(hub):
    repository_id = find_id(hub)
    hub.repositories.delete(SYSTEM, MODEL)
    with pytest.raises(NotFound, match="was deleted"):
        hub.blob_store.add(repository_id, [b"late"], hashlib.sha256(b"late").hexdigest(), 4)
    assert hub.blob_store.find(hashlib.sha256(b"late").hexdigest()) is None
    assert collect_garbage(hub, timedelta(0)).num_leftovers == 1


def test_facts_that_a_killed_server_did_not_read_are_read_at_the_next_start(hub, tmp_path):
    commit(hub, {"README.md": b"---\nlicense: mit\n---\n"})
    with hub.database.write() as connection:
        connection.execute(update(repositories).values(described=None, facts={}, licence=None))
    with serve_hub(tmp_path, root=hub.settings.root) as server:
        assert Client(server.url).ask("GET", "/api/models/lab/model")["cardData"] == {"license": "mit"}


def test_gc_during_commits_removes_nothing_that_a_commit_needs(hub):
    """The same files are added and deleted again and again, so that commits need blobs that gc is about to remove."""
    stop, freed = threading.Event(), []

    def collect() -> None:
        while not stop.is_set():
            freed.append(collect_garbage(hub).num_blobs)

    collecting = threading.Thread(target=collect)
    collecting.start()
    try:
        round_ = 0
        while round_ < 60 or (not sum(freed) and round_ < 600):
            round_ += 1
            path = f"folder/{round_ % 4}"
            commit(hub, {path: path.encode()})
            commit(hub, {}, (Delete(path),))
            hub.repositories.squash(SYSTEM, MODEL, "main", f"Squash {round_}")
            commit(hub, {path: path.encode()})
    finally:
        stop.set()
        collecting.join()
    assert list(find_problems(hub, show_progress=False)) == []
    assert len(list_paths(hub)) == 4
    assert sum(freed) > 0, "gc must have removed something during the commits"
