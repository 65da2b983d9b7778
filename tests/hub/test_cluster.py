"""Two servers on one PostgreSQL and one S3: if one is killed, the other goes on."""

import os
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import takewhile
from pathlib import Path
from tempfile import gettempdir

import httpx2
import pytest

from hub_client import Client
from hub_server import find_free_port, start_server
from missing import miss
from muybridge_hub.maintenance import collect_garbage, find_problems
from muybridge_hub.settings import Settings

WAIT_SECONDS = 30


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"nothing answers at port {port}")


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """The URL of a PostgreSQL server that the tests start."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs and not shutil.which("initdb"):
        miss("PostgreSQL is not installed: Debian has it as the package postgresql")
    bin_folder = programs[-1].parent if programs else Path(shutil.which("initdb")).parent
    folder, port = tmp_path_factory.mktemp("postgres"), find_free_port()
    user = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        for parent in (folder, *takewhile(lambda parent: parent != Path(gettempdir()), folder.parents)):
            parent.chmod(0o755)
        shutil.chown(folder, "postgres")
        user = {"user": "postgres", "cwd": "/"}
    data = folder / "data"
    subprocess.run(
        [bin_folder / "initdb", "-D", data, "-U", "hub", "--auth=trust", "--no-sync"],
        check=True,
        capture_output=True,
        **user,
    )
    settings = ("-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off")
    server = subprocess.Popen(
        [bin_folder / "postgres", "-D", data, "-p", str(port), *settings], stderr=subprocess.DEVNULL, **user
    )
    try:
        wait_for_port(port)
        yield f"postgresql+psycopg://hub@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        server.wait(WAIT_SECONDS)


@pytest.fixture(scope="module")
def storage():
    """The URL of a bucket on a simulated S3, and the environment variables to reach it."""
    pytest.importorskip("moto.server", reason="moto is not installed: `make .venv` installs it")
    port = find_free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    environment = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    environment["AWS_ENDPOINT_URL_S3"] = f"http://127.0.0.1:{port}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            wait_for_port(port)
            httpx2.put(f"http://127.0.0.1:{port}/bucket")
            yield "s3://bucket/hub", environment
        finally:
            server.terminate()
            server.wait(WAIT_SECONDS)


@pytest.fixture
def servers(tmp_path, database, storage):
    """Two servers that share nothing but a database and a storage."""
    storage_url, environment = storage
    both = [
        start_server(
            Settings(
                root=tmp_path / name, database=database, storage=storage_url, multipart_from=12 << 20, part_size=6 << 20
            ),
            environment=environment,
        )
        for name in ("one", "other")
    ]
    yield both
    for server in both:
        server.stop()
        server.hub.close()


def test_one_server_serves_what_the_other_received(servers):
    one, other = servers
    token = one.create_token()
    first, second = Client(one.url, token), Client(other.url, token)
    first.create("lab/shared", private=True)
    content, long_content = os.urandom(2_000_000), os.urandom(15 << 20)
    whole, parts = first.upload("lab/shared", content), second.upload("lab/shared", long_content)
    second.commit("lab/shared", {"README.md": b"# Shared"}, {"whole.bin": whole, "parts.bin": parts})
    assert first.download("lab/shared", "README.md") == b"# Shared"
    assert first.download("lab/shared", "parts.bin") == long_content
    assert second.download("lab/shared", "whole.bin", Range="bytes=1000-1999") == content[1000:2000]
    assert (
        second.http.get("/api/models/lab/shared").json()["sha"]
        == first.http.get("/api/models/lab/shared").json()["sha"]
    )
    assert httpx2.get(f"{other.url}/api/models/lab/shared").status_code == 404
    first.commit("lab/shared", deleted=("parts.bin",))
    assert set(second.list_files("lab/shared")) == {"README.md", "whole.bin"}
    assert list(find_problems(other.hub, show_progress=False)) == []


def test_killing_one_of_two_servers_loses_no_finished_commit(servers):
    one, other = servers
    token = one.create_token()
    Client(one.url, token).create("lab/busy")
    done = []

    def commit(number: int) -> None:
        client = Client(servers[number % 2].url, token)
        try:
            sha256 = client.upload("lab/busy", f"large {number}".encode() * 100)
            client.commit("lab/busy", {f"{number}.txt": b"x"}, {f"{number}.bin": sha256}, title=f"number {number}")
            done.append(number)
        except httpx2.HTTPError:
            assert number % 2, "only requests to the killed server fail"

    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(commit, number) for number in range(40)]
        while len(done) < 12:
            time.sleep(0.01)
        other.kill()
        for future in waiting:
            future.result()
    client = Client(one.url, token)
    assert set(range(0, 40, 2)) <= set(done)
    assert len(done) < 40
    titles = set(client.list_titles("lab/busy"))
    assert {f"number {number}" for number in done} <= titles
    files = client.list_files("lab/busy")
    for number in range(40):
        is_committed = f"number {number}" in titles
        assert (f"{number}.txt" in files) == (f"{number}.bin" in files) == is_committed
    assert list(find_problems(one.hub, show_progress=False)) == []
    collect_garbage(one.hub, timedelta(0))
    assert client.download("lab/busy", "0.bin") == b"large 0" * 100
    assert list(find_problems(one.hub, show_progress=False)) == []


def test_check_finds_damaged_and_missing_objects_on_s3(servers):
    one, _ = servers
    client = Client(one.url, one.create_token())
    client.create("lab/damaged")
    client.commit("lab/damaged", large={"w.bin": client.upload("lab/damaged", b"right" * 1000)})
    (entry,) = client.list_files("lab/damaged").values()
    blob = one.hub.blob_store.find(entry["lfs"]["oid"])
    one.hub.storage.files.pipe_file(one.hub.storage.get_full_path(blob.place), b"wrong" * 1000)
    (problem,) = find_problems(one.hub, show_progress=False)
    assert blob.sha256 in problem
    one.hub.storage.delete(blob.place)
    (problem,) = find_problems(one.hub, show_progress=False)
    assert "cannot be read" in problem
    client.ask("DELETE", "/api/repos/delete", json={"name": "lab/damaged"})
    collect_garbage(one.hub, timedelta(0))
    assert list(find_problems(one.hub, show_progress=False)) == []


def test_simultaneous_commits_of_the_same_files_do_not_deadlock(servers):
    one, other = servers
    token = one.create_token()
    Client(one.url, token).create("lab/same")
    files = {f"{number}.txt": f"the same {number}".encode() for number in range(100)}

    def send(url: str, order: int) -> str:
        ordered = dict(list(files.items())[::order])
        return Client(url, token).commit("lab/same", ordered, title=f"Order {order}")

    with ThreadPoolExecutor(4) as pool:
        orders = [(one.url, 1), (other.url, -1), (one.url, -1), (other.url, 1)]
        oids = list(pool.map(lambda order: send(*order), orders))
    assert len(oids) == 4
    assert set(Client(one.url, token).list_files("lab/same")) == set(files)


@pytest.mark.parametrize(
    "url",
    [
        "/api/models?search=a%00b",
        "/api/models?author=%00",
        "/api/models?filter=%00",
        "/api/models/lab/x%00/revision/main",
        "/lab/nul/resolve/a%00b/README.md",
        "/lab/nul/tree/%00",
        "/models?q=%00",
    ],
)
def test_characters_that_postgresql_cannot_store_are_refused(servers, url):
    client = Client(servers[0].url, servers[0].create_token())
    client.http.post("/api/repos/create", json={"name": "lab/nul"})
    assert 400 <= client.http.get(url).status_code < 500 or url.startswith("/models")
