"""A minimal client of the hub, for tests that make more requests than a real client could in their time."""

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import httpx2


@dataclass
class Client:
    """Makes requests with a token, or anonymously without one."""

    url: str
    token: str | None = None
    timeout: float = 60

    def __post_init__(self) -> None:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        self.http = httpx2.Client(base_url=self.url, headers=headers, timeout=self.timeout)

    def ask(self, method: str, path: str, **arguments: Any) -> Any:
        response = self.http.request(method, path, **arguments)
        response.raise_for_status()
        return response.json() if response.content else None

    def create(self, repository: str, **fields: Any) -> None:
        self.ask("POST", "/api/repos/create", json={"name": repository, **fields})

    def request_upload_url(self, repository: str, content: bytes) -> str:
        """Asks where to upload a large file."""
        file = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
        body = {"operation": "upload", "objects": [file]}
        (answer,) = self.ask("POST", f"/{repository}.git/info/lfs/objects/batch", json=body)["objects"]
        return answer["actions"]["upload"]["href"]

    def upload(self, repository: str, content: bytes) -> str:
        """Uploads a large file over LFS. Returns its sha256, for `commit`."""
        sha256 = hashlib.sha256(content).hexdigest()
        body: dict[str, Any] = {"operation": "upload", "transfers": ["basic", "multipart"]}
        body["objects"] = [{"oid": sha256, "size": len(content)}]
        (answer,) = self.ask("POST", f"/{repository}.git/info/lfs/objects/batch", json=body)["objects"]
        if "actions" not in answer:
            return sha256
        action = answer["actions"]["upload"]
        header = action.get("header", {})
        size = int(header.pop("chunk_size", 0))
        for number, url in header.items():
            start = (int(number) - 1) * size
            self.ask("PUT", url, content=content[start : start + size])
        if header:
            self.ask("POST", action["href"], json={"oid": sha256, "parts": []})
        else:
            self.ask("PUT", action["href"], content=content)
        return sha256

    def commit(
        self,
        repository: str,
        small: dict[str, bytes] | None = None,
        large: dict[str, str] | None = None,
        deleted: tuple[str, ...] = (),
        branch: str = "main",
        title: str = "A commit",
        **header: Any,
    ) -> str:
        lines: list[dict[str, Any]] = [{"key": "header", "value": {"summary": title, **header}}]
        for path, content in (small or {}).items():
            text = base64.b64encode(content).decode()
            lines.append({"key": "file", "value": {"path": path, "content": text, "encoding": "base64"}})
        for path, sha256 in (large or {}).items():
            lines.append({"key": "lfsFile", "value": {"path": path, "oid": sha256, "algo": "sha256"}})
        lines += [{"key": "deletedFile", "value": {"path": path}} for path in deleted]
        body = "\n".join(map(json.dumps, lines))
        return self.ask("POST", f"/api/models/{repository}/commit/{branch}", content=body)["commitOid"]

    def download(self, repository: str, path: str, revision: str = "main", **headers: str) -> bytes:
        response = self.http.get(f"/{repository}/resolve/{revision}/{path}", headers=headers)
        response.raise_for_status()
        return response.content

    def list_titles(self, repository: str) -> list[str]:
        """The titles of all commits, the newest first."""
        commits = self.ask("GET", f"/api/models/{repository}/commits/main", params={"limit": 1000})
        return [commit["title"] for commit in commits]

    def list_files(self, repository: str, revision: str = "main") -> dict[str, dict[str, Any]]:
        """Describes all files, by their paths."""
        entries = self.ask("GET", f"/api/models/{repository}/tree/{revision}", params={"recursive": "true"})
        return {entry["path"]: entry for entry in entries if entry["type"] == "file"}
