"""Clients of a web server that use as little processor time as possible: plain sockets that discard what they receive.

They run in their own process, and are the same for every server that is compared. Each function returns the seconds
from the first connection to the last answer.
"""

import http.client
import os
import re
import selectors
import socket
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent / "tests"))  # for the minimal client

from hub_client import Client

HOST = "127.0.0.1"
RECEIVE_SIZE = 1 << 20
TIMEOUT_SECONDS = 60
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


class ClientProcess:
    """A process in which client functions run, one after another."""

    def __init__(self) -> None:
        self.pool = get_context("spawn").Pool(1)

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return self.pool.apply(function, arguments)

    def close(self) -> None:
        self.pool.close()
        self.pool.join()


class RepeatingClient:
    """A connection over which the same request is sent again and again."""

    def __init__(self, port: int, path: str, num_requests: int) -> None:
        self.connection = socket.create_connection((HOST, port), timeout=TIMEOUT_SECONDS)
        self.request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
        self.num_requests, self.num_missing = num_requests, 0
        self.connection.sendall(self.request)

    def receive(self, buffer: bytearray) -> bool:
        """Receives what has arrived. Returns whether more is expected."""
        size = self.connection.recv_into(buffer)
        if not size:
            raise ConnectionError("the server closed a connection before its answer was complete")
        if not self.num_missing:
            end = buffer.index(b"\r\n\r\n", 0, size) + 4
            self.num_missing = end + read_length(bytes(buffer[:end]))
        self.num_missing -= size
        if not self.num_missing:
            self.num_requests -= 1
            if self.num_requests:
                self.connection.sendall(self.request)
        return self.num_requests > 0


def read_length(head: bytes) -> int:
    """Reads the length of the body from the headers of an answer."""
    length = CONTENT_LENGTH.search(head)
    if not head.startswith(b"HTTP/1.1 200 ") or length is None:
        raise ValueError(f"the server answers {head!r}")
    return int(length[1])


def download(port: int, path: str, num_clients: int, num_requests_each: int) -> float:
    """Downloads a file with all clients at once, each over one connection."""
    selector, buffer = selectors.DefaultSelector(), bytearray(RECEIVE_SIZE)
    start = time.perf_counter()
    for _ in range(num_clients):
        client = RepeatingClient(port, path, num_requests_each)
        selector.register(client.connection, selectors.EVENT_READ, client)
    while selector.get_map():
        for key, _ in selector.select(TIMEOUT_SECONDS):
            if not key.data.receive(buffer):
                selector.unregister(key.fileobj)
                key.data.connection.close()
    return time.perf_counter() - start


def upload(port: int, token: str, repository: str, num_clients: int, size: int) -> float:
    """Uploads a large file of random bytes with each client, to a URL that it has requested before."""
    client, contents = Client(f"http://{HOST}:{port}", token), [os.urandom(size) for _ in range(num_clients)]
    paths = [client.request_upload_url(repository, content).partition(f":{port}")[2] for content in contents]
    requests = [[("PUT", path, content)] for path, content in zip(paths, contents, strict=True)]
    return send_all(port, {}, requests)


def commit(port: int, token: str, repository: str, num_clients: int, num_commits_each: int) -> float:
    """Makes small commits to one repository, each of which changes one small file."""
    path = f"/api/models/{repository}/commit/main"
    requests = [
        [("POST", path, make_commit(f"{client}.txt")) for _ in range(num_commits_each)] for client in range(num_clients)
    ]
    return send_all(port, {"Authorization": f"Bearer {token}"}, requests)


def make_commit(path: str) -> bytes:
    content = os.urandom(500).hex()
    return (
        '{"key": "header", "value": {"summary": "A small commit"}}\n'
        f'{{"key": "file", "value": {{"path": "{path}", "content": "{content}", "encoding": "utf-8"}}}}'
    ).encode()


def send_all(port: int, headers: dict[str, str], requests: Sequence[Sequence[tuple[str, str, bytes]]]) -> float:
    """Sends the requests of all clients at once, those of each client in turn over one connection."""

    def send(client_requests: Sequence[tuple[str, str, bytes]]) -> None:
        connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_SECONDS)
        for method, path, body in client_requests:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise ValueError(f"{method} {path} answers {answer.status}: {answer.read()!r}")
            answer.read()
        connection.close()

    with ThreadPoolExecutor(len(requests)) as pool:
        start = time.perf_counter()
        list(pool.map(send, requests))
        return time.perf_counter() - start
