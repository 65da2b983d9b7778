"""Many simultaneous clients: correct answers, no lost commits, and little memory."""

import os
import selectors
import socket
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from hub_client import Client
from hub_server import serve_hub
from muybridge_hub.maintenance import find_problems

MB = 1 << 20
SIZE, NUM_DOWNLOADS, NUM_COMMITS = 100 * MB, 200, 50


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serve_hub(tmp_path_factory.mktemp("load"), multipart_from=SIZE, part_size=30 * MB) as server:
        Client(server.url, server.create_token()).create("lab/model")
        yield server


def measure_memory(server) -> int:
    return psutil.Process(server.process.pid).memory_info().rss


def test_200_simultaneous_downloads_are_correct_and_use_little_memory(server):
    client, content = Client(server.url, server.create_token()), os.urandom(SIZE)
    before = measure_memory(server)
    client.commit("lab/model", large={"weights.bin": client.upload("lab/model", content)})
    assert measure_memory(server) - before < 60 * MB, "an upload streams"
    assert download_all(server.url, "/lab/model/resolve/main/weights.bin", content) == NUM_DOWNLOADS
    assert measure_memory(server) - before < 100 * MB, "downloads stream"


def download_all(url: str, path: str, content: bytes) -> int:
    """Downloads over many connections at once, and compares every byte. Returns how many downloads were complete."""
    host, port = url.removeprefix("http://").split(":")
    selector, num_whole, buffer = selectors.DefaultSelector(), 0, bytearray(MB)
    for _ in range(NUM_DOWNLOADS):
        connection = socket.create_connection((host, int(port)), timeout=60)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1)
        assert b" 200 " in head.split(b"\r\n")[0]
        selector.register(connection, selectors.EVENT_READ, [0])
    received = memoryview(buffer)
    while selector.get_map():
        for key, _ in selector.select(60):
            size, position = key.fileobj.recv_into(buffer), key.data
            # Compared as bytes, because comparing a memoryview is slow.
            assert bytes(received[:size]) == content[position[0] : position[0] + size]
            position[0] += size
            if not size:
                num_whole += position[0] == len(content)
                selector.unregister(key.fileobj)
                key.fileobj.close()
    return num_whole


def test_50_simultaneous_commits_to_one_repository_are_all_kept(server):
    token = server.create_token()

    def commit(number: int) -> str:
        client = Client(server.url, token)
        sha256 = client.upload("lab/model", f"large {number}".encode() * 1000)
        small = {f"folder/{number}.txt": f"small {number}".encode(), "shared.txt": f"{number}".encode()}
        return client.commit("lab/model", small, {f"{number}.bin": sha256}, title=f"number {number}")

    with ThreadPoolExecutor(NUM_COMMITS) as pool:
        oids = list(pool.map(commit, range(NUM_COMMITS)))
    client = Client(server.url, token)
    titles, files = client.list_titles("lab/model"), client.list_files("lab/model")
    assert len(set(oids)) == NUM_COMMITS
    assert {f"number {number}" for number in range(NUM_COMMITS)} <= set(titles)
    assert client.download("lab/model", "shared.txt").decode() == titles[0].removeprefix("number ")
    for number in range(NUM_COMMITS):
        assert {f"folder/{number}.txt", f"{number}.bin"} <= files.keys()
        assert client.download("lab/model", f"{number}.bin") == f"large {number}".encode() * 1000
    assert list(find_problems(server.hub, show_progress=False)) == []
