"""A hub in a folder: as much of the Hub's HTTP protocol as the client needs to push small models and fetch them."""

import base64
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

REVISION = "0" * 40


class Handler(BaseHTTPRequestHandler):
    folder: Path
    created: dict[str, dict[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/api/repos/create":
            wanted = json.loads(body)
            name = "/".join(filter(None, [wanted.get("organization") or "someone", wanted["name"]]))
            self.created.setdefault(name, wanted)
            self.answer({"url": f"{self.address}/{name}", "id": name, "name": name})
        elif self.path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            paths = [file["path"] for file in json.loads(body)["files"]]
            self.answer({"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]})
        elif "/commit/" in self.path:
            name = self.path.removeprefix("/api/models/").split("/commit/")[0]
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    path = self.folder / name / line["value"]["path"]
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(base64.b64decode(line["value"]["content"]))
            self.answer({"commitUrl": f"{self.address}/{name}/commit/{REVISION}", "commitOid": REVISION})
        else:
            self.answer({"error": f"{self.path} is not known"}, status=404)

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path.startswith("/api/models/"):
            name = path.removeprefix("/api/models/").split("/revision/")[0]
            is_private = self.created.get(name, {}).get("visibility") == "private"
            self.answer({"id": name, "sha": REVISION, "private": is_private})
            return
        name, _, revision_and_file = path.removeprefix("/").partition("/resolve/")
        source = self.folder / name / revision_and_file.partition("/")[2]
        if not source.is_file():
            self.answer({"error": "not found"}, status=404, **{"X-Error-Code": "EntryNotFound"})
            return
        self.send(source.read_bytes(), 200, "application/octet-stream")

    do_HEAD = do_GET  # noqa: N815 - what http.server calls

    @property
    def address(self) -> str:
        return f"http://{self.headers['Host']}"

    def answer(self, value: Any, status: int = 200, **headers: str) -> None:
        self.send(json.dumps(value).encode(), status, "application/json", **headers)

    def send(self, content: bytes, status: int, kind: str, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", REVISION)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serve_hub(folder: Path) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    """The address of a hub on this machine, and the repositories that were asked for."""
    created: dict[str, dict[str, Any]] = {}
    handler = type("HandlerOfFolder", (Handler,), {"folder": folder, "created": created})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", created
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def client_environment(address: str, cache: Path) -> dict[str, str]:
    """What a user sets to work with a hub of their own."""
    environment = {**os.environ, "HF_ENDPOINT": address, "HF_TOKEN": "hf_a", "HF_HOME": str(cache)}
    return {**environment, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
