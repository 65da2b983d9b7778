"""Attacks on a hub, by users who may write and by anybody."""

import hashlib
import json
import os
import socket
import struct
import time
from contextlib import suppress

import httpx2
import psutil
import pytest

from hub_client import Client
from hub_server import serve_hub, start_server
from muybridge_hub.errors import BadRequest
from muybridge_hub.maintenance import back_up, collect_garbage, find_problems
from muybridge_hub.names import check_path
from muybridge_hub.settings import Settings

FRONT_MATTERS = (
    *("x: !!bool foo", "x: !!timestamp foo", 'x: !!int ""', 'x: !!float ""', "x: 0x" + "f" * 6000),
    *(
        "x: " + ":".join(["59"] * 4000),
        "a: &a [1]\nb: *a",
        "x: [" * 3000,
        "? {a: b}\n: c",
        "x: 2020-13-45",
        "tags: {a: 1}",
    ),
    "model-index:\n- results:\n  - task: {type: t}\n    dataset: {name: n}\n    metrics:\n    - {type: a, value: 1"
    + "0" * 400
    + "}",
    'license: "\\ud800"\npipeline_tag: "\\0"',
)


def test_no_front_matter_breaks_a_commit_a_page_or_the_next_start(tmp_path):
    settings = Settings(root=tmp_path / "hub")
    server = start_server(settings)
    client = Client(server.url, server.create_token())
    for number, front_matter in enumerate(FRONT_MATTERS):
        client.create(f"lab/card-{number}")
        client.commit(f"lab/card-{number}", {"README.md": f"---\n{front_matter}\n---\n# A card\n".encode()})
        client.ask("POST", "/api/validate-yaml", json={"content": f"---\n{front_matter}\n---\n"})
    server.kill()
    server = start_server(settings)
    client = Client(server.url, client.token)
    assert len(client.ask("GET", "/api/models")) == len(FRONT_MATTERS)
    pages = ["/", "/models", "/lab", *(f"/lab/card-{number}" for number in range(len(FRONT_MATTERS)))]
    assert {page: client.http.get(page).status_code for page in pages} == dict.fromkeys(pages, 200)
    server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serve_hub(
        tmp_path_factory.mktemp("hub"), header_seconds=1.0, idle_seconds=2.0, part_size=100_000, multipart_from=150_000
    ) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    client = Client(server.url, server.create_token())
    client.create("lab/model")
    return client


def test_no_safetensors_header_breaks_a_commit_or_the_api(client):
    client.create("lab/weights")
    headers = [
        {"a": {"dtype": "F32", "shape": [999_999_999] * 60_000, "data_offsets": [0, 4]}},
        {"a": {"dtype": "\ud800", "shape": [1], "data_offsets": [0, 4]}},
        {
            "a": {"dtype": "F32", "shape": [-5, "x"], "data_offsets": [0, 4]},
            "b": 5,
            "__metadata__": {"x": float("nan")},
        },
    ]
    for header in headers:
        text = json.dumps(header).encode()
        started = time.monotonic()
        sha256 = client.upload("lab/weights", struct.pack("<Q", len(text)) + text + bytes(4))
        client.commit("lab/weights", {"i.json": b'{"weight_map": {"a": "m.safetensors"}}'}, {"m.safetensors": sha256})
        assert time.monotonic() - started < 2
        assert client.ask("GET", "/api/models/lab/weights")["siblings"]
        client.ask("GET", "/api/models/lab/weights/safetensors-metadata/i.json")


def test_a_pinned_commit_wins_over_a_branch_with_the_same_name(client):
    pinned = client.commit("lab/model", {"weights.txt": b"good"})
    evil = client.commit("lab/model", {"weights.txt": b"evil"})
    client.ask("POST", f"/api/models/lab/model/branch/{pinned}", json={"startingPoint": evil})
    assert client.download("lab/model", "weights.txt", revision=pinned) == b"good"


def test_paths_are_at_most_50_folders_deep():
    assert check_path("a/" * 49 + "x")
    with pytest.raises(BadRequest, match="50 folders deep"):
        check_path("a/" * 50 + "x")


def test_joining_the_parts_of_an_upload_twice_succeeds(client):
    content = os.urandom(250_000)
    body = {"operation": "upload", "transfers": ["multipart"]}
    sha256 = hashlib.sha256(content).hexdigest()
    body["objects"] = [{"oid": sha256, "size": len(content)}]
    (answer,) = client.ask("POST", "/lab/model.git/info/lfs/objects/batch", json=body)["objects"]
    upload = answer["actions"]["upload"]
    size = int(upload["header"].pop("chunk_size"))
    for number, url in upload["header"].items():
        client.ask("PUT", url, content=content[(int(number) - 1) * size : int(number) * size])
    for _ in range(2):
        assert client.http.post(upload["href"], json={"oid": sha256, "parts": []}).status_code == 200


@pytest.mark.usefixtures("client")
def test_revoking_a_token_invalidates_its_upload_urls(server):
    other_client = Client(server.url, server.create_token())
    content = os.urandom(1000)
    url = other_client.request_upload_url("lab/model", content)
    server.hub.tokens.revoke(server.hub.tokens.list()[-1].id)
    assert httpx2.put(url, content=content).status_code == 401


def test_an_upload_url_of_a_deleted_repository_is_not_valid_for_the_next_one(client):
    client.create("lab/first")
    url = client.request_upload_url("lab/first", b"x" * 1000)
    client.ask("DELETE", "/api/repos/delete", json={"name": "lab/first"})
    client.create("lab/second")
    assert client.http.put(url, content=b"x" * 1000).status_code == 404


def test_all_pages_of_a_folder_show_the_same_commit(client):
    client.create("lab/wide")
    files = {f"{number:03}.txt": b"x" for number in range(150)}
    client.commit("lab/wide", files)
    first = client.http.get("/api/models/lab/wide/tree/main?limit=100")
    client.commit("lab/wide", deleted=tuple(f"{number:03}.txt" for number in range(50)))
    second = client.http.get(first.links["next"]["url"])
    assert [entry["path"] for entry in [*first.json(), *second.json()]] == sorted(files)


def test_a_flood_of_trailers_uses_no_memory(server):
    process, (host, port) = psutil.Process(server.process.pid), server.url.removeprefix("http://").split(":")
    before = process.memory_info().rss
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
        with suppress(OSError):
            for _ in range(500):
                connection.sendall(b"X-Trailer: " + b"x" * 60_000 + b"\r\n")
        assert process.memory_info().rss - before < 20 << 20


def test_a_client_that_stops_reading_is_disconnected(server, client):
    content = os.urandom(30 << 20)
    client.commit("lab/model", large={"large.bin": client.upload("lab/model", content)})
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET /lab/model/resolve/main/large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(4)
        connection.settimeout(5)
        received = 0
        with suppress(ConnectionError):  # the server may close or reset the connection
            while piece := connection.recv(1 << 20):
                received += len(piece)
        assert received < len(content)


def test_a_backup_fails_clearly_if_gc_removes_a_file_meanwhile(tmp_path, monkeypatch):
    with serve_hub(tmp_path) as server:
        client = Client(server.url, server.create_token())
        client.create("lab/leaving")
        client.commit("lab/leaving", large={"w.bin": client.upload("lab/leaving", b"leaving" * 1000)})
        read = server.hub.blob_store.read

        def read_after_gc(*arguments):
            client.ask("DELETE", "/api/repos/delete", json={"name": "lab/leaving"})
            collect_garbage(server.hub)
            monkeypatch.setattr(server.hub.blob_store, "read", read)
            return read(*arguments)

        monkeypatch.setattr(server.hub.blob_store, "read", read_after_gc)
        with pytest.raises(BadRequest, match="run this again"):
            back_up(server.hub, tmp_path / "copy", show_progress=False)
        back_up(server.hub, tmp_path / "copy", show_progress=False)
    with serve_hub(tmp_path / "x", root=tmp_path / "copy") as copy:
        assert list(find_problems(copy.hub, show_progress=False)) == []


def test_a_lost_file_is_restored_by_uploading_it_again(tmp_path):
    with serve_hub(tmp_path) as server:
        client, content = Client(server.url, server.create_token()), os.urandom(10_000)
        client.create("lab/model")
        sha256 = client.upload("lab/model", content)
        client.commit("lab/model", large={"w.bin": sha256})
        (server.root / "storage" / server.hub.blob_store.find(sha256).place).unlink()
        assert client.http.get("/lab/model/resolve/main/w.bin").status_code == 500
        other = Client(server.url, server.create_token("other"))
        # Private, so that the other user has to upload the file.
        client.ask("PUT", "/api/models/lab/model/settings", json={"private": True})
        other.create("other/model")
        other.upload("other/model", content)
        assert client.download("lab/model", "w.bin") == content
        assert list(find_problems(server.hub, show_progress=False)) == []
