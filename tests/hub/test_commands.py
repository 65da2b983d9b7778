"""The command `muybridge-hub`, started as users start it."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from hub_client import Client
from hub_server import find_free_port, serve_hub, wait_for_server

COMMAND = Path(sys.executable).with_name("muybridge-hub")


def run(*arguments, expect: int = 0, **environment: str) -> str:
    done = subprocess.run(
        [COMMAND, *map(str, arguments)], env=os.environ | environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout if expect == 0 else done.stdout + done.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serve_hub(tmp_path_factory.mktemp("hub")) as server:
        yield server


def whoami(server, token: str) -> httpx2.Response:
    return httpx2.get(f"{server.url}/api/whoami-v2", headers={"Authorization": f"Bearer {token}"})


def test_tokens_are_created_listed_and_revoked_but_never_stored(server):
    token = run("token", "create", "ann", "--root", server.root).strip()
    reading = run("token", "create", "bob", "--read-only", "--namespace", "lab", "--root", server.root).strip()
    assert token.startswith("hf_")
    assert whoami(server, token).json()["name"] == "ann"
    assert whoami(server, reading).json()["auth"]["accessToken"]["role"] == "read"
    assert whoami(server, reading).json()["orgs"][0]["name"] == "lab"
    listed = run("token", "list", "--root", server.root)
    number = next(line.split()[0] for line in listed.splitlines() if " ann " in line)
    assert token not in listed
    assert token.encode() not in b"".join(path.read_bytes() for path in server.root.glob("hub.sqlite*"))
    run("token", "revoke", number, "--root", server.root)
    assert whoami(server, token).status_code == 401
    assert "there is no valid token" in run("token", "revoke", number, "--root", server.root, expect=1)


def test_serve_starts_quickly_and_stops_on_an_interrupt(tmp_path):
    port = find_free_port()
    started = time.monotonic()
    process = subprocess.Popen(
        [COMMAND, "serve", "--root", tmp_path / "hub", "--port", str(port)], stdout=subprocess.PIPE, text=True
    )
    wait_for_server(f"http://127.0.0.1:{port}")
    elapsed = time.monotonic() - started
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=20)
    assert f"http://127.0.0.1:{port}" in printed
    assert process.returncode in (0, 130)
    # The benchmark measures less than a second on a quiet machine; during tests, other processes run too.
    assert elapsed < 4


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    (folder / "nested").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("not for others")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Hi\n")
    (folder / "model.safetensors").write_bytes(os.urandom(200_000))
    (folder / "nested" / "a.txt").write_text("a")
    return folder


def test_import_copies_a_folder_and_applies_its_changes_the_next_time(server, folder):
    run("import", folder, "lab/imported", "--private", "--root", server.root)
    client = Client(server.url, server.create_token())
    assert set(client.list_files("lab/imported")) == {"README.md", "model.safetensors", "nested/a.txt"}
    assert client.download("lab/imported", "model.safetensors") == (folder / "model.safetensors").read_bytes()
    assert "lfs" in client.list_files("lab/imported")["model.safetensors"]
    assert client.ask("GET", "/api/models/lab/imported")["private"]
    (folder / "nested" / "a.txt").unlink()
    (folder / "b.txt").write_text("b")
    run("import", folder, "lab/imported", "--message", "Another time", "--root", server.root)
    assert set(client.list_files("lab/imported")) == {"README.md", "model.safetensors", "b.txt"}
    assert client.list_titles("lab/imported")[0] == "Another time"
    assert "is not a folder" in run("import", folder / "none", "lab/imported", "--root", server.root, expect=2)
    assert "NAMESPACE/NAME" in run("import", folder, "imported", "--root", server.root, expect=2)


def test_mirror_copies_a_repository_downloads_only_changes_and_tags_the_commit(server, folder, tmp_path):
    token = server.create_token()
    run("import", folder, "lab/source", "--root", server.root)
    client = Client(server.url, token)
    oid = client.ask("GET", "/api/models/lab/source")["sha"]
    mirror = ("mirror", "lab/source", "--root", tmp_path / "mirror")
    message = run(*mirror, "--from", "http://127.0.0.1:9", HF_HUB_OFFLINE="0", expect=1)
    assert "127.0.0.1:9" in message
    run(*mirror, "--from", server.url, HF_HUB_OFFLINE="0", HF_TOKEN=token)
    blobs = {path: path.stat().st_mtime_ns for path in (tmp_path / "mirror" / "storage").rglob("*") if path.is_file()}
    client.commit("lab/source", {"README.md": b"# New"})
    run(*mirror, "--from", server.url, HF_HUB_OFFLINE="0", HF_TOKEN=token)
    assert all(path.stat().st_mtime_ns == time for path, time in blobs.items())
    with serve_hub(tmp_path / "x", root=tmp_path / "mirror") as copy:
        copied = Client(copy.url, copy.create_token())
        assert copied.download("lab/source", "README.md") == b"# New"
        assert copied.download("lab/source", "README.md", revision=oid) == (folder / "README.md").read_bytes()
        assert copied.download("lab/source", "model.safetensors") == (folder / "model.safetensors").read_bytes()
        assert copied.list_files("lab/source") == client.list_files("lab/source")


def test_check_finds_damaged_and_missing_files(folder, tmp_path):
    root = tmp_path / "checked"
    run("import", folder, "lab/checked", "--root", root)
    assert run("check", "--root", root) == ""
    weights = next(
        path for path in (root / "storage" / "blobs").rglob("*") if path.is_file() and path.stat().st_size > 1e5
    )
    content = weights.read_bytes()
    weights.write_bytes(content[:1000] + b"!" + content[1001:])
    assert weights.name.split("-")[0] in run("check", "--root", root, expect=1)
    weights.unlink()
    output = run("check", "--root", root, expect=1)
    assert "is lost" in output
    assert "model.safetensors of model lab/checked at main" in output
    run("check", "--forget", "--root", root, expect=1)
    run("import", folder, "lab/checked", "--root", root)
    run("check", "--root", root)


def test_a_lost_file_is_uploaded_again_by_the_client(server, folder):
    token = server.create_token()
    run("import", folder, "lab/lost", "--root", server.root)
    content = (folder / "model.safetensors").read_bytes()
    (server.root / "storage" / server.hub.blob_store.find(hashlib.sha256(content).hexdigest()).place).unlink()
    run("check", "--forget", "--root", server.root, expect=1)
    upload = [Path(sys.executable).with_name("hf"), "upload", "lab/lost", folder, "."]
    subprocess.run(upload, env=server.make_environment(token), check=True, capture_output=True)
    assert Client(server.url, token).download("lab/lost", "model.safetensors") == content
    run("check", "--root", server.root)


def test_backup_refuses_a_folder_with_other_content(folder, tmp_path):
    hub, other, copy = (tmp_path / name for name in ("hub", "other", "copy"))
    run("import", folder, "lab/model", "--root", hub)
    run("import", folder, "lab/other", "--root", other)
    for target, message in ((other, "is not empty and not a backup"), (hub, "is the hub itself")):
        assert message in run("backup", target, "--root", hub, expect=2)
    run("backup", copy, "--root", hub)
    run("backup", copy, "--root", hub)
    assert "is not empty and not a backup" in run("backup", hub, "--root", copy, expect=2)
    (tmp_path / "file").write_text("")
    assert "is a file" in run("backup", tmp_path / "file", "--root", hub, expect=2)


def test_gc_removes_only_unused_files_while_the_server_runs(server):
    client = Client(server.url, server.create_token())
    for name in ("kept", "deleted"):
        client.create(f"lab/{name}")
        both = client.upload(f"lab/{name}", b"in both" * 1000)
        own = client.upload(f"lab/{name}", name.encode() * 10_000)
        client.commit(f"lab/{name}", large={"both.bin": both, "own.bin": own})
    client.ask("DELETE", "/api/repos/delete", json={"name": "lab/deleted"})
    awaited = client.upload("lab/kept", b"a commit of this file follows" * 1000)
    assert "1 stored files" in run("gc", "--root", server.root)
    client.commit("lab/kept", large={"awaited.bin": awaited})
    assert client.download("lab/kept", "both.bin") == b"in both" * 1000
    assert client.download("lab/kept", "own.bin") == b"kept" * 10_000
    run("check", "--root", server.root)


def test_a_backup_of_a_running_hub_can_be_served(server, tmp_path):
    client = Client(server.url, server.create_token())
    client.create("lab/backed-up")
    first = client.upload("lab/backed-up", b"one" * 1000)
    client.commit("lab/backed-up", {"README.md": b"# One"}, {"one.bin": first})
    run("backup", tmp_path / "copy", "--root", server.root)
    client.commit("lab/backed-up", large={"two.bin": client.upload("lab/backed-up", b"two" * 1000)})
    assert " 1 of them new" in run("backup", tmp_path / "copy", "--root", server.root)
    run("check", "--root", tmp_path / "copy")
    with serve_hub(tmp_path / "x", root=tmp_path / "copy") as copy:
        restored = Client(copy.url, client.token)
        assert restored.list_titles("lab/backed-up") == client.list_titles("lab/backed-up")
        assert restored.download("lab/backed-up", "two.bin") == b"two" * 1000


def test_commands_name_what_they_cannot_use(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be used" in run("serve", "--root", tmp_path / "file", expect=2)
    elsewhere = ("--root", tmp_path / "hub", "--database", "postgresql+psycopg://hub:secret@127.0.0.1:9/hub")
    message = run("token", "list", *elsewhere, expect=2)
    assert "postgresql+psycopg://hub@127.0.0.1:9/hub cannot be opened" in message
    assert "secret" not in message
    for command in (("check",), ("gc",), ("token", "list"), ("backup", tmp_path / "copy")):
        assert "there is no hub in" in run(*command, "--root", tmp_path / "typo", expect=2)
    assert not (tmp_path / "typo").exists()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "hub.sqlite").write_bytes(os.urandom(5000))
    message = run("check", "--root", tmp_path / "broken", expect=2)
    assert "cannot be opened: file is not a database" in message
    assert "Traceback" not in message
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert f"cannot listen at port {port}" in run("serve", "--port", port, "--root", tmp_path / "h", expect=2)
    assert "cannot listen" in run("serve", "--port", "99999", "--root", tmp_path / "h", expect=2)
    for flags in (("--max-file-size", "0"), ("--public-url", "foo")):
        run("serve", *flags, "--root", tmp_path / "h", expect=2)
