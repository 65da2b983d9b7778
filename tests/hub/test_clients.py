"""Unmodified clients, old and new, each in its own process, against the real server."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hub_server import Server, serve_hub
from missing import miss

SESSION = Path(__file__).with_name("client_session.py")
OLDEST, MIDDLE = (Path(sys.prefix) / f"client-{version}" for version in ("0.20.3", "0.36.2"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serve_hub(tmp_path_factory.mktemp("clients")) as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    (folder / "nested").mkdir()
    (folder / "README.md").write_text("---\nlicense: mit\ntags: [a-tag]\n---\n# Hi\n")
    (folder / "nested" / "deep file.txt").write_text("deep")
    (folder / "weights.bin").write_bytes(os.urandom(300_000))
    return folder


def run(server: Server, *command: object, token: str | None = None, **environment: str) -> str:
    token = token or server.create_token()
    done = subprocess.run(
        list(map(str, command)),
        env=server.make_environment(token) | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


CLIENTS = {
    "pinned, over LFS": {"HF_HUB_DISABLE_XET": "1"},
    "pinned": {},
    "last before version 1": {"PYTHONPATH": str(MIDDLE)},
    "oldest": {"PYTHONPATH": str(OLDEST)},
}


@pytest.fixture(scope="module", params=CLIENTS)
def steps(request, server, folder, tmp_path_factory):
    """What a client saw in a session (`client_session.py`), by the name of the step."""
    environment = CLIENTS[request.param]
    client = environment.get("PYTHONPATH")
    if client and not Path(client).is_dir():
        miss(f"there is no {client}; `make .venv` puts older clients there")
    repository = f"lab/model-{list(CLIENTS).index(request.param)}"
    cache = tmp_path_factory.mktemp("cache")
    copy = shutil.copytree(folder, cache / "folder")  # some clients leave files in it
    printed = run(server, sys.executable, SESSION, copy, repository, HF_HOME=str(cache), **environment)
    lines = [json.loads(line) for line in printed.splitlines()]
    return {line.get("step", "start"): line for line in lines} | {"repository": repository}


def test_the_session_runs_to_its_end(steps):
    assert steps["start"]["user"] == "lab"
    assert "end" in steps


def test_an_uploaded_folder_is_downloaded_unchanged(steps, folder):
    assert steps["create"]["again"]
    assert steps["create"]["status"] == 409
    oid = steps["upload_folder"]["oid"] or steps["upload_folder"]["url"].split("/commit/")[1]
    assert steps["snapshot"]["same"]
    assert steps["snapshot"]["commit"] == steps["info"]["sha"] == oid
    assert steps["info"]["tags"] == ["a-tag", "license:mit"]
    sizes = {name: (folder / name).stat().st_size for name in ("README.md", "nested/deep file.txt", "weights.bin")}
    assert {name: size for name, (size, _, _) in steps["info"]["siblings"].items()} == sizes


def test_files_have_the_hashes_that_git_gives_them(steps, folder):
    """Small files the hash of their content, large files the hash of their LFS pointer."""
    siblings, weights = steps["info"]["siblings"], (folder / "weights.bin").read_bytes()
    sha256 = hashlib.sha256(weights).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(weights)}\n"
    assert siblings["weights.bin"][1:] == [git_hash(pointer.encode()), sha256]
    assert siblings["README.md"][1:] == [git_hash((folder / "README.md").read_bytes()), None]


def git_hash(content: bytes) -> str:
    done = subprocess.run(["git", "hash-object", "--stdin"], input=content, capture_output=True, check=True)
    return done.stdout.decode().strip()


def test_folders_and_history_can_be_listed(steps):
    assert steps["tree"]["paths"] == ["README.md", "nested", "nested/deep file.txt", "weights.bin"]
    assert steps["tree"]["titles"] == ["All of it"]
    assert steps["history"]["titles"] == ["Changes", "All of it", "Initial commit"]
    assert steps["history"]["authors"] == ["lab"]
    assert sorted(steps["paths"]["paths"]) == ["copies", "weights.bin"]


def test_one_commit_can_add_delete_and_copy_files(steps):
    assert steps["commit"]["files"] == ["copies/weights.bin", "notes/new.txt", "weights.bin"]
    assert "# Hi" in steps["old revision"]["text"]


def test_a_commit_with_an_old_parent_is_refused(steps):
    assert steps["conflict"]["status"] == 412
    assert "look at the changes, then commit again" in steps["conflict"]["message"]


def test_branches_and_tags_are_created_listed_and_deleted(steps):
    assert steps["refs"]["branches"] == ["feature/x", "main"]
    assert list(steps["refs"]["tags"]) == ["v1"]
    assert steps["branch"]["text"] == "x"
    assert steps["branch again"]["status"] == 409
    assert steps["refs deleted"]["names"] == ["main"]
    assert len(steps["squash"]["titles"]) == 1


def test_the_file_system_of_the_client_reads_lists_and_writes(steps, folder):
    assert steps["filesystem"]["piece"] == (folder / "weights.bin").read_bytes()[100_000:100_020].hex()
    names = [f"{steps['repository']}/{name}" for name in ("copies", "notes", "weights.bin")]
    assert steps["filesystem"]["names"] == names
    assert steps["filesystem"]["glob"] == [f"{names[0]}/weights.bin", names[2]]
    assert steps["written"]["text"] == "through the file system"


@pytest.mark.parametrize(
    ("step", "error", "message"),
    [
        ("no file", "EntryNotFoundError", "there is no 'nothing.txt'"),
        ("no revision", "RevisionNotFoundError", "has no revision 'nothing'"),
        ("no repository", "RepositoryNotFoundError", "or it is private and this token does not see it"),
        ("not mine", "HfHubHTTPError", "this token can write to lab, not to others"),
        ("pull request", "BadRequestError", "pull requests are not offered by this hub"),
    ],
)
def test_errors_reach_the_user_as_the_exceptions_of_the_client(steps, step, error, message):
    assert steps[step]["error"] in (error, f"Remote{error}")
    assert message in steps[step]["message"]


def test_lists_are_searched_by_name_and_filtered_by_tag(steps):
    assert steps["list"]["found"] == [steps["repository"]]
    assert steps["list"]["tagged"] == []  # the card with the tag was deleted
    assert steps["exists"] == {"step": "exists", "here": True, "there": False}


def test_data_sets_and_spaces_work_and_private_ones_are_hidden(steps):
    assert steps["data set"]["private"]
    assert steps["data set"]["hidden"]["error"] == "RepositoryNotFoundError"
    assert steps["space"]["id"] == steps["repository"]


def test_a_large_folder_is_uploaded(steps):
    if "large folder" in steps:  # the newest clients have no function for it: upload_folder does it
        assert steps["large folder"]["files"] == ["README.md", "nested/deep file.txt", "weights.bin"]


def test_repositories_are_moved_and_deleted(steps):
    assert steps["move"]["files"] == 4
    assert steps["move"]["status"] == steps["delete"]["status"] == steps["delete again"]["status"] == 404
