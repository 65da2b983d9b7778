"""A commit: which of its files come on their own, and the lines that it is sent as."""

import base64
import binascii
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from muybridge_hub.api.repositories import REPOSITORY
from muybridge_hub.calls import Call, endpoint, run_writing
from muybridge_hub.errors import BadRequest, TooLarge
from muybridge_hub.git import hash_file
from muybridge_hub.large import is_large_file
from muybridge_hub.names import check_path, check_sha256
from muybridge_hub.repositories import Add, Delete, Repository
from muybridge_hub.trees import Entry

MAX_OPERATIONS = 100_000
MAX_LINE_BESIDES_CONTENT = 100_000
FLUSH_FILES, FLUSH_BYTES = 200, 32 << 20


def prepare(call: Call) -> dict[str, Any]:
    """Says for each file whether it goes into the commit or comes on its own, and what is there of it now."""
    if call.flag("create_pr"):
        raise BadRequest("pull requests are not offered by this hub; commit to a branch")
    files = call.field("files", list, [])
    if not all(isinstance(file, dict) and isinstance(file.get("path"), str) for file in files):
        raise BadRequest("files must be a list of objects with a path, a size and a sample")
    with call.hub.database.read() as connection:
        repository = call.hub.repositories.find_writable(connection, call.viewer, call.name)
        commit = call.hub.repositories.resolve(connection, repository, call.text("revision"))
        known = {
            file["path"]: call.hub.repositories.find_or_none(connection, commit.tree, check_path(file["path"]))
            for file in files
        }
        present = call.hub.contents.find_many(connection, [entry.key for entry in known.values() if entry])
        # What is lost is asked for again.
        known = {path: entry for path, entry in known.items() if entry and entry.key in present}
    return {"files": [describe_mode(file, known.get(file["path"]), call.hub.settings.large_from) for file in files]}


def describe_mode(file: dict[str, Any], known: Entry | None, large_from: int) -> dict[str, Any]:
    size, sample = file.get("size"), file.get("sample", "")
    try:
        beginning = base64.b64decode(sample)
    except (binascii.Error, ValueError, TypeError) as error:
        raise BadRequest(f"the sample of {file['path']} is not base64: {error}") from error
    is_large = is_large_file(file["path"], size if isinstance(size, int) else 0, beginning, large_from)
    oid = (known.key if known.is_large else known.oid) if known and not known.is_folder else None
    return {"path": file["path"], "uploadMode": "lfs" if is_large else "regular", "shouldIgnore": False, "oid": oid}


@dataclass
class Reading:
    """A commit while its lines come in. Contents are stored as they come, a few at a time."""

    call: Call
    repository: Repository
    header: dict[str, Any] | None = None
    operations: list[Add | Delete] = field(default_factory=list)
    waiting: list[tuple[str, bytes]] = field(default_factory=list)

    def take_all(self, lines: list[bytes]) -> None:
        for line in lines:
            self.take(line)

    def take(self, line: bytes) -> None:
        try:
            item = json.loads(line)
            key, value = item["key"], item["value"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise BadRequest(f"a line of the commit is not {{key, value}} in JSON: {line[:100]!r}") from error
        if not isinstance(value, dict):
            raise BadRequest(f"the value of {key!r} is not an object")
        if len(self.operations) + len(self.waiting) >= MAX_OPERATIONS:
            raise TooLarge(f"a commit has up to {MAX_OPERATIONS} operations; make several")
        if key == "header":
            self.header = value
        elif key == "file":
            self.waiting.append((read_path(value), decode(value)))
        elif key == "lfsFile":
            size = value.get("size")
            size = size if isinstance(size, int) and not isinstance(size, bool) else None
            self.operations.append(Add(read_path(value), check_sha256(value.get("oid")), size))
        elif key in ("deletedFile", "deletedFolder"):
            self.operations.append(Delete(read_path(value), is_folder=key == "deletedFolder"))
        else:
            raise BadRequest(f"this hub does not know the operation {str(key)[:50]!r}")
        if len(self.waiting) >= FLUSH_FILES or sum(len(data) for _, data in self.waiting) >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        blobs = self.call.hub.contents.add_all(self.repository.id, [data for _, data in self.waiting])
        for (path, data), blob in zip(self.waiting, blobs, strict=True):
            self.operations.append(Add(path, blob.sha256, blob.size, hash_file(data)))
        self.waiting.clear()

    def finish(self) -> dict[str, Any]:
        self.flush()
        if self.header is None:
            raise BadRequest("the commit has no line {key: header}")
        title, message, parent = (read_text(self.header, name) for name in ("summary", "description", "parentCommit"))
        commit = self.call.hub.repositories.commit(
            self.call.viewer,
            self.call.name,
            self.operations,
            title=title or "",
            message=message or "",
            branch=self.call.text("revision").removeprefix("refs/heads/"),
            parent=parent,
        )
        address = f"{self.call.base_url}/{self.call.name.address}/commit/{commit.oid}"
        return {"success": True, "commitUrl": address, "commitOid": commit.oid, "hookOutput": ""}


def begin(call: Call) -> Reading:
    """Before anything is read: may they?"""
    if call.flag("create_pr"):
        raise BadRequest("pull requests are not offered by this hub; commit to a branch")
    with call.hub.database.read() as connection:
        return Reading(call, call.hub.repositories.find_writable(connection, call.viewer, call.name))


async def commit(request: Request) -> Response:
    reading = await run_in_threadpool(begin, Call(request))
    limit = request.app.state.hub.settings.max_inline_size * 4 // 3 + MAX_LINE_BESIDES_CONTENT
    async for lines in read_lines(request, limit):
        await run_writing(reading.take_all, lines)
    return JSONResponse(await run_writing(reading.finish))


async def read_lines(request: Request, limit: int) -> AsyncIterator[list[bytes]]:
    """The lines of a body as they come, none of them longer than `limit`."""
    rest = bytearray()
    async for piece in request.stream():
        rest += piece
        if b"\n" in piece:
            *lines, last = bytes(rest).split(b"\n")
            rest = bytearray(last)
            yield [line for line in lines if line.strip()]
        if len(rest) > limit:
            raise TooLarge(f"a line of the commit is longer than {limit} bytes; such a file must come on its own")
    if rest.strip():
        yield [bytes(rest)]


def read_path(value: dict[str, Any]) -> str:
    path = value.get("path")
    if not isinstance(path, str):
        raise BadRequest("an operation of the commit has no path")
    return check_path(path.rstrip("/"))


def read_text(value: dict[str, Any], name: str) -> str | None:
    text = value.get(name)
    if text is not None and not isinstance(text, str):
        raise BadRequest(f"{name} is {str(text)[:50]!r}; it must be text")
    return text.encode("utf-8", "replace").decode() if text else None


def decode(value: dict[str, Any]) -> bytes:
    content, encoding = value.get("content"), value.get("encoding", "utf-8")
    if not isinstance(content, str) or encoding not in ("base64", "utf-8"):
        raise BadRequest(f"the content of {value.get('path')} must be text, in base64 or utf-8")
    try:
        return base64.b64decode(content, validate=True) if encoding == "base64" else content.encode()
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"the content of {value.get('path')} is not {encoding}: {error}") from error


ROUTES = [
    Route(REPOSITORY + "/preupload/{revision}", endpoint(prepare), methods=["POST"]),
    Route(REPOSITORY + "/commit/{revision}", commit, methods=["POST"]),
]
