"""Receives commits. Before one, it tells the client which files to upload separately (LFS) and which within it."""

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

from muybridge_hub.api.repositories import REPOSITORY_PATH
from muybridge_hub.calls import Call, make_endpoint, run_as_writer
from muybridge_hub.errors import BadRequest, TooLarge
from muybridge_hub.git import hash_file
from muybridge_hub.large import is_large_file
from muybridge_hub.names import check_path, check_sha256
from muybridge_hub.repositories import Add, Delete, Repository
from muybridge_hub.trees import Entry

MAX_OPERATIONS = 100_000
MAX_LINE_OVERHEAD = 100_000  # of a line of the request body, beyond the base64 of a file's content
# Files wait in memory until there are this many, or this many bytes of them; then they are stored together.
FLUSH_FILES, FLUSH_BYTES = 200, 32 << 20


def answer_preupload(call: Call) -> dict[str, Any]:
    """For each file: whether to upload it separately or within the commit, and the hash that it has now."""
    if call.get_flag("create_pr"):
        raise BadRequest("pull requests are not offered by this hub; commit to a branch")
    files = call.get_field("files", list, [])
    if not all(isinstance(file, dict) and isinstance(file.get("path"), str) for file in files):
        raise BadRequest("files must be a list of objects with a path, a size and a sample")
    with call.hub.database.read() as connection:
        repository = call.hub.repositories.find_writable(connection, call.viewer, call.repo_name)
        commit = call.hub.repositories.resolve(connection, repository, call.get_path_parameter("revision"))
        known = {
            file["path"]: call.hub.repositories.find_entry_or_none(connection, commit.tree, check_path(file["path"]))
            for file in files
        }
        present = call.hub.blob_store.find_many(connection, [entry.key for entry in known.values() if entry])
        # A file whose content is lost counts as unknown, so that the client uploads it again.
        known = {path: entry for path, entry in known.items() if entry and entry.key in present}
    return {
        "files": [describe_upload_mode(file, known.get(file["path"]), call.hub.settings.large_from) for file in files]
    }


def describe_upload_mode(file: dict[str, Any], known: Entry | None, large_from: int) -> dict[str, Any]:
    """How to upload one file: `file` is the client's description, `known` the file that is there now."""
    size, sample = file.get("size"), file.get("sample", "")
    try:
        beginning = base64.b64decode(sample)
    except (binascii.Error, ValueError, TypeError) as error:
        raise BadRequest(f"the sample of {file['path']} is not base64: {error}") from error
    is_large = is_large_file(file["path"], size if isinstance(size, int) else 0, beginning, large_from)
    oid = (known.key if known.is_large else known.oid) if known and not known.is_folder else None
    return {"path": file["path"], "uploadMode": "lfs" if is_large else "regular", "shouldIgnore": False, "oid": oid}


@dataclass
class IncomingCommit:
    """A commit whose lines are being received. The content of its files is stored meanwhile, a few at a time."""

    call: Call
    repository: Repository
    header: dict[str, Any] | None = None
    operations: list[Add | Delete] = field(default_factory=list)
    unsaved: list[tuple[str, bytes]] = field(default_factory=list)  # path and content of files that wait in memory

    def add_lines(self, lines: list[bytes]) -> None:
        for line in lines:
            self.add_line(line)

    def add_line(self, line: bytes) -> None:
        """Parses a line of the body: the header of the commit or one operation."""
        try:
            item = json.loads(line)
            key, value = item["key"], item["value"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise BadRequest(f"a line of the commit is not {{key, value}} in JSON: {line[:100]!r}") from error
        if not isinstance(value, dict):
            raise BadRequest(f"the value of {key!r} is not an object")
        if len(self.operations) + len(self.unsaved) >= MAX_OPERATIONS:
            raise TooLarge(f"a commit has up to {MAX_OPERATIONS} operations; make several")
        if key == "header":
            self.header = value
        elif key == "file":
            self.unsaved.append((read_path(value), decode_content(value)))
        elif key == "lfsFile":
            size = value.get("size")
            size = size if isinstance(size, int) and not isinstance(size, bool) else None
            self.operations.append(Add(read_path(value), check_sha256(value.get("oid")), size))
        elif key in ("deletedFile", "deletedFolder"):
            self.operations.append(Delete(read_path(value), is_folder=key == "deletedFolder"))
        else:
            raise BadRequest(f"this hub does not know the operation {str(key)[:50]!r}")
        if len(self.unsaved) >= FLUSH_FILES or sum(len(data) for _, data in self.unsaved) >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Stores the files that wait in memory."""
        blobs = self.call.hub.blob_store.add_all(self.repository.id, [data for _, data in self.unsaved])
        for (path, data), blob in zip(self.unsaved, blobs, strict=True):
            self.operations.append(Add(path, blob.sha256, blob.size, hash_file(data)))
        self.unsaved.clear()

    def finish(self) -> dict[str, Any]:
        """Makes the commit, when all lines have been received. Returns the answer to the client."""
        self.flush()
        if self.header is None:
            raise BadRequest("the commit has no line {key: header}")
        title, message, parent = (
            read_optional_text(self.header, name) for name in ("summary", "description", "parentCommit")
        )
        commit = self.call.hub.repositories.commit(
            self.call.viewer,
            self.call.repo_name,
            self.operations,
            title=title or "",
            message=message or "",
            branch=self.call.get_path_parameter("revision").removeprefix("refs/heads/"),
            parent=parent,
        )
        url = f"{self.call.base_url}/{self.call.repo_name.url_path}/commit/{commit.oid}"
        return {"success": True, "commitUrl": url, "commitOid": commit.oid, "hookOutput": ""}


def begin_commit(call: Call) -> IncomingCommit:
    """Checks, before the body is read, that the viewer may write."""
    if call.get_flag("create_pr"):
        raise BadRequest("pull requests are not offered by this hub; commit to a branch")
    with call.hub.database.read() as connection:
        return IncomingCommit(call, call.hub.repositories.find_writable(connection, call.viewer, call.repo_name))


async def receive_commit(request: Request) -> Response:
    incoming = await run_in_threadpool(begin_commit, Call(request))
    limit = request.app.state.hub.settings.max_inline_size * 4 // 3 + MAX_LINE_OVERHEAD
    async for lines in read_lines(request, limit):
        await run_as_writer(incoming.add_lines, lines)
    return JSONResponse(await run_as_writer(incoming.finish))


async def read_lines(request: Request, limit: int) -> AsyncIterator[list[bytes]]:
    """Yields the lines of the request body as they arrive. A line longer than `limit` bytes is refused."""
    rest = bytearray()
    async for piece in request.stream():
        rest += piece
        if b"\n" in piece:
            *lines, last = bytes(rest).split(b"\n")
            rest = bytearray(last)
            yield [line for line in lines if line.strip()]
        if len(rest) > limit:
            raise TooLarge(f"a line of the commit is longer than {limit} bytes; upload such a file over LFS")
    if rest.strip():
        yield [bytes(rest)]


def read_path(value: dict[str, Any]) -> str:
    path = value.get("path")
    if not isinstance(path, str):
        raise BadRequest("an operation of the commit has no path")
    return check_path(path.rstrip("/"))


def read_optional_text(value: dict[str, Any], name: str) -> str | None:
    text = value.get(name)
    if text is not None and not isinstance(text, str):
        raise BadRequest(f"{name} is {str(text)[:50]!r}; it must be text")
    return text.encode("utf-8", "replace").decode() if text else None


def decode_content(value: dict[str, Any]) -> bytes:
    content, encoding = value.get("content"), value.get("encoding", "utf-8")
    if not isinstance(content, str) or encoding not in ("base64", "utf-8"):
        raise BadRequest(f"the content of {value.get('path')} must be text, in base64 or utf-8")
    try:
        return base64.b64decode(content, validate=True) if encoding == "base64" else content.encode()
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"the content of {value.get('path')} is not {encoding}: {error}") from error


ROUTES = [
    Route(REPOSITORY_PATH + "/preupload/{revision}", make_endpoint(answer_preupload), methods=["POST"]),
    Route(REPOSITORY_PATH + "/commit/{revision}", receive_commit, methods=["POST"]),
]
