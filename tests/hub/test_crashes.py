"""The server is killed at random moments: no finished commit is lost, and none is incomplete."""

import os
import random
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import httpx2
import pytest

from hub_client import Client
from hub_server import serve_hub, start_server
from muybridge_hub.maintenance import collect_garbage, find_problems
from muybridge_hub.settings import Settings

NUM_KILLS = 100
FILE_SIZES = {"whole": 50_000, "parts": 250_000, "a": 10, "b": 1000}  # of the files of a commit, in bytes


def make_contents() -> dict[str, bytes]:
    return {kind: os.urandom(size) for kind, size in FILE_SIZES.items()}


def publish(client: Client, name: str, contents: dict[str, bytes], done: list[str]) -> None:
    """Commits a file uploaded whole, one uploaded in parts and two within the commit. Adds finished ones to `done`."""
    try:
        whole, parts = (client.upload("lab/model", contents[kind]) for kind in ("whole", "parts"))
        small = {f"{name}/a.txt": contents["a"], f"{name}/b.txt": contents["b"]}
        client.commit("lab/model", small, {f"{name}/whole.bin": whole, f"{name}/parts.bin": parts}, title=name)
        done.append(name)
    except httpx2.HTTPError:
        return  # the server was killed


def test_killing_the_server_at_any_moment_loses_no_commit_and_leaves_none_incomplete(tmp_path):
    settings = Settings(root=tmp_path / "hub", multipart_from=200_000, part_size=100_000)
    server = start_server(settings)
    token = server.create_token()
    Client(server.url, token).create("lab/model")
    generator, written, done = random.Random(0), {}, []
    # Kills come within one and a half times the duration of a commit with its uploads, so that they hit every part.
    started = time.monotonic()
    written["commit-first"] = make_contents()
    publish(Client(server.url, token), "commit-first", written["commit-first"], done)
    max_wait_seconds = 1.5 * (time.monotonic() - started)
    for number in range(NUM_KILLS):
        name = f"commit-{number}"
        written[name] = make_contents()
        client = Client(server.url, token)
        uploading = threading.Thread(target=publish, args=(client, name, written[name], done))
        uploading.start()
        uploading.join(generator.uniform(0, max_wait_seconds))
        server.kill()
        uploading.join()
        server.hub.close()
        server = start_server(settings)
        titles = Client(server.url, token).list_titles("lab/model")
        assert set(done) <= set(titles), f"after kill {number}"
    assert list(find_problems(server.hub, show_progress=False)) == []

    client = Client(server.url, token)
    titles = [title for title in client.list_titles("lab/model") if title.startswith("commit")]
    assert 10 < len(titles) < NUM_KILLS - 10, "some kills hit before the commit, some after it"
    files = client.list_files("lab/model")
    assert set(files) == {f"{name}/{file}" for name in titles for file in ("a.txt", "b.txt", "parts.bin", "whole.bin")}
    for path in files:
        name, file = path.split("/")
        assert client.download("lab/model", path) == written[name][file.partition(".")[0]]

    leftovers = collect_garbage(server.hub, timedelta(0))
    assert leftovers.num_blobs + leftovers.num_leftovers > 0
    assert list(find_problems(server.hub, show_progress=False)) == []
    stored = [path for path in (settings.root / "storage").rglob("*") if path.is_file()]
    assert len(stored) == 4 * len(titles)
    server.stop()


def test_an_interrupted_upload_leaves_no_file_and_can_be_repeated(tmp_path):
    content = os.urandom(3_000_000)
    with serve_hub(tmp_path) as server:
        client = Client(server.url, server.create_token())
        client.create("lab/model")
        url = client.request_upload_url("lab/model", content)
        with pytest.raises(ConnectionAbortedError):
            client.http.put(url, content=interrupt(content), headers={"Content-Length": str(len(content))})
        sha256 = client.upload("lab/model", content)
        client.commit("lab/model", large={"weights.bin": sha256})
        assert client.download("lab/model", "weights.bin") == content
        assert len([path for path in (server.root / "storage").rglob("*") if path.is_file()]) == 1


def interrupt(content: bytes) -> Iterator[bytes]:
    yield content[:1_000_000]
    raise ConnectionAbortedError
