"""The server is killed at any moment, as by a power failure: no finished commit is lost, none is there by half."""

import os
import random
import threading
from collections.abc import Iterator
from datetime import timedelta

import httpx2
import pytest

from hub_client import Client
from hub_server import serve_hub, start_server
from muybridge_hub.maintenance import check, collect_garbage
from muybridge_hub.settings import Settings

NUM_KILLS = 100
LONGEST_WAIT = 0.12  # of a commit with its uploads: kills hit every part of it


def publish(client: Client, name: str, contents: dict[str, bytes], done: list[str]) -> None:
    """A file whole, a file in parts and two within the commit; `done` learns of it when the server said so."""
    try:
        whole, parts = (client.upload("lab/model", contents[kind]) for kind in ("whole", "parts"))
        small = {f"{name}/a.txt": contents["a"], f"{name}/b.txt": contents["b"]}
        client.commit("lab/model", small, {f"{name}/whole.bin": whole, f"{name}/parts.bin": parts}, title=name)
        done.append(name)
    except httpx2.HTTPError:
        return  # killed


def test_a_server_killed_at_any_moment_loses_nothing_and_shows_nothing_half(tmp_path):
    settings = Settings(root=tmp_path / "hub", multipart_from=200_000, part_size=100_000)
    server = start_server(settings)
    token = server.token()
    Client(server.url, token).create("lab/model")
    source, written, done = random.Random(0), {}, []
    for number in range(NUM_KILLS):
        name = f"commit-{number}"
        sizes = {"whole": 50_000, "parts": 250_000, "a": 10, "b": 1000}
        written[name] = {kind: os.urandom(size) for kind, size in sizes.items()}
        client = Client(server.url, token)
        uploading = threading.Thread(target=publish, args=(client, name, written[name], done))
        uploading.start()
        uploading.join(source.uniform(0, LONGEST_WAIT))
        server.kill()
        uploading.join()
        server.hub.close()
        server = start_server(settings)
        titles = Client(server.url, token).history("lab/model")
        assert set(done) <= set(titles), f"after kill {number}"
    assert list(check(server.hub, show_progress=False)) == []

    client = Client(server.url, token)
    titles = [title for title in client.history("lab/model") if title.startswith("commit")]
    assert 10 < len(titles) < NUM_KILLS - 10, "kills hit uploads and commits alike"
    files = client.files("lab/model")
    assert set(files) == {f"{name}/{file}" for name in titles for file in ("a.txt", "b.txt", "parts.bin", "whole.bin")}
    for path in files:
        name, file = path.split("/")
        assert client.download("lab/model", path) == written[name][file.partition(".")[0]]

    leftovers = collect_garbage(server.hub, timedelta(0))
    assert leftovers.num_blobs + leftovers.num_leftovers > 0
    assert list(check(server.hub, show_progress=False)) == []
    stored = [path for path in (settings.root / "storage").rglob("*") if path.is_file()]
    assert len(stored) == 4 * len(titles)
    server.stop()


def test_what_breaks_off_leaves_no_file_and_can_be_sent_again(tmp_path):
    content = os.urandom(3_000_000)
    with serve_hub(tmp_path) as server:
        client = Client(server.url, server.token())
        client.create("lab/model")
        address = client.upload_address("lab/model", content)
        with pytest.raises(ConnectionAbortedError):
            client.http.put(address, content=break_off(content), headers={"Content-Length": str(len(content))})
        sha256 = client.upload("lab/model", content)
        client.commit("lab/model", large={"weights.bin": sha256})
        assert client.download("lab/model", "weights.bin") == content
        assert len([path for path in (server.root / "storage").rglob("*") if path.is_file()]) == 1


def break_off(content: bytes) -> Iterator[bytes]:
    yield content[:1_000_000]
    raise ConnectionAbortedError
