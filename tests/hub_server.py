"""Runs the real server in its own process, on a free port, for tests."""

import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2

from muybridge_hub.hub import Hub
from muybridge_hub.settings import Settings

# Servers are forked from a process that has imported everything: so they start fast enough to kill hundreds of them.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["muybridge_hub.app", "muybridge_hub.serving"])

WAIT_SECONDS = 30


@dataclass
class Server:
    """A running server."""

    settings: Settings
    hub: Hub  # opened by the test on the same folder and database
    url: str
    process: Any

    @property
    def root(self) -> Path:
        return self.settings.root

    def create_token(self, user: str = "lab", **scope: Any) -> str:
        return self.hub.tokens.create(user, **scope)

    def make_environment(self, token: str | None, cache: Path | None = None) -> dict[str, str]:
        """The environment of a user of this hub: its URL and a token, without other settings of huggingface_hub."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        environment |= {"HF_ENDPOINT": self.url, "HF_HOME": str(cache or self.root.parent / "client")}
        return environment | ({"HF_TOKEN": token} if token else {})

    def kill(self) -> None:
        """Kills the server without warning, as a power failure would."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()

    def stop(self) -> None:
        self.process.terminate()
        self.process.join(WAIT_SECONDS)


def run(settings: Settings, listener: socket.socket, environment: dict[str, str]) -> None:
    import uvicorn

    from muybridge_hub.app import create_app
    from muybridge_hub.serving import make_config

    os.environ.update(environment)
    config = make_config(create_app(Hub(settings)), settings, log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])


def start_server(settings: Settings, environment: dict[str, str] | None = None) -> Server:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    process = processes.Process(target=run, args=(settings, listener, environment or {}), daemon=True)
    process.start()
    listener.close()
    wait_for_server(url)
    return Server(settings, Hub(settings), url, process)


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for_server(url: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            httpx2.get(f"{url}/api/models", timeout=5)
            return
        except httpx2.TransportError:
            time.sleep(0.01)
    raise TimeoutError(f"no server answers at {url}")


@contextmanager
def serve_hub(folder: Path, **settings: Any) -> Iterator[Server]:
    server = start_server(replace(Settings(root=folder / "hub"), **settings))
    try:
        yield server
    finally:
        server.stop()
        server.hub.close()
