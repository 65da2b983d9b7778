"""Starts the servers to compare: the hub, and nginx, or a minimal file server where nginx is missing."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

HOST = "127.0.0.1"
START_SECONDS, STOP_SECONDS = 30, 30
HUB_COMMAND = Path(sys.executable).with_name("muybridge-hub")

NGINX = """
daemon off;
worker_processes 1;
user {user};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port};
        root {root};
    }}
}}
"""


class Server(NamedTuple):
    name: str
    port: int
    process: int


def find_free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def find_nginx() -> str | None:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextmanager
def serve_hub(root: Path) -> Iterator[Server]:
    """Runs a hub without a log of requests. The server that it is compared with writes no log either."""
    port = find_free_port()
    with run_server([HUB_COMMAND, "serve", "--root", root, "--port", port, "--quiet"], port, "/health") as process:
        yield Server("hub", port, process.pid)


@contextmanager
def serve_files(folder: Path, scratch: Path) -> Iterator[Server]:
    """Runs the fastest file server that is installed: nginx, or else a minimal one."""
    port, nginx = find_free_port(), find_nginx()
    if nginx is None:
        name, command = "bare sendfile", [sys.executable, __file__, folder, port]
    else:
        user, config = pwd.getpwuid(os.getuid()).pw_name, scratch / "nginx.conf"
        config.write_text(NGINX.format(user=user, folder=scratch, port=port, root=folder), encoding="utf-8")
        name, command = "nginx", [nginx, "-c", config, "-e", scratch / "error.log"]
    with run_server(command, port, "/") as process:
        yield Server(name, port, process.pid)


@contextmanager
def run_server(command: Sequence[object], port: int, path: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    try:
        wait_for_answer(port, path)
        yield process
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def measure_start(root: Path, path: str) -> float:
    """Starts a hub. Returns the seconds from the command to the first answer."""
    port, start = find_free_port(), time.perf_counter()
    with run_server([HUB_COMMAND, "serve", "--root", root, "--port", port, "--quiet"], port, path):
        return time.perf_counter() - start


def wait_for_answer(port: int, path: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((HOST, port), timeout=START_SECONDS) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
                if connection.recv(1):
                    return
        except ConnectionError:
            time.sleep(0.002)
    raise TimeoutError(f"no server answers at port {port}")


class BareHandler(BaseHTTPRequestHandler):
    """Lets the kernel send files, without any checks."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        path = Path(sys.argv[1], self.path.lstrip("/"))
        self.send_response(200 if path.is_file() else 404)
        self.send_header("Content-Length", str(path.stat().st_size if path.is_file() else 0))
        self.end_headers()
        if path.is_file():
            with path.open("rb") as file:
                self.connection.sendfile(file)

    def log_message(self, *_: object) -> None:
        pass


class BareServer(ThreadingHTTPServer):
    request_queue_size = 1024


if __name__ == "__main__":
    BareServer((HOST, int(sys.argv[2])), BareHandler).serve_forever()
