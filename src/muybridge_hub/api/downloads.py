"""Files go out: whole or a range of them, to those who do not have them yet."""

from functools import partial
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import quote

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from muybridge_hub.calls import Call
from muybridge_hub.contents import Blob
from muybridge_hub.errors import EntryNotFound, HubError
from muybridge_hub.storage import Storage
from muybridge_hub.trees import Entry

# Shown by browsers where they lie. All else is saved to a file: nothing that was uploaded becomes a page of this site.
SHOWN = {
    **{".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp"},
    **{".mp4": "video/mp4", ".webm": "video/webm"},
    **dict.fromkeys((".txt", ".md", ".json", ".yaml", ".yml", ".toml", ".csv", ".py"), "text/plain; charset=utf-8"),
}


SMALL = 64 << 10


class Found(NamedTuple):
    """A file at a commit, and the contents that it has there."""

    commit: str
    path: str
    entry: Entry
    blob: Blob
    small: bytes | None  # what is in it, where that is quicker than sending a file

    @property
    def etag(self) -> str:
        """As the Hub has it, so that caches that were filled there stay good."""
        return self.entry.key if self.entry.is_large else self.entry.oid


def find(call: Call) -> Found:
    with call.hub.database.read() as connection:
        repository = call.hub.repositories.find(connection, call.viewer, call.name)
        commit = call.hub.repositories.resolve(connection, repository, call.text("revision"))
        try:
            entry = call.hub.repositories.trees.find(connection, commit.tree, call.path)
            if entry.is_folder:
                raise EntryNotFound(f"{call.path!r} is a folder")
        except EntryNotFound as error:
            # With the commit, clients remember that there is no such file.
            error.headers["X-Repo-Commit"] = commit.oid
            raise
        root = call.hub.repositories.trees.load(connection, commit.tree)
        blob = call.hub.contents.find(entry.key, connection)
    if blob is None:
        raise HubError(f"the contents of {call.path} are lost; `muybridge-hub check` says more", status=500)
    counted = "config.json" if "config.json" in root else next(iter(root))
    if call.request.method == "GET" and call.path == counted:
        call.hub.downloads.count(repository.id)
    is_small = blob.size <= SMALL and call.request.method == "GET"
    return Found(commit.oid, call.path, entry, blob, call.hub.contents.read_bytes(blob) if is_small else None)


async def download(request: Request) -> Response:
    call = Call(request)
    found = await run_in_threadpool(find, call)
    headers = describe(found)
    if is_known(request.headers.get("if-none-match"), found.etag):
        return Response(status_code=304, headers=headers)
    size, text = found.blob.size, request.headers.get("range")
    if_range = request.headers.get("if-range")
    wanted = parse_range(text, size) if text and if_range in (None, f'"{found.etag}"') else None
    if wanted is None:
        if found.small is not None:
            return Response(found.small, headers=headers)
        return BlobResponse(call.hub.storage, found.blob, 0, size, 200, headers)
    start, end = wanted
    if start >= end:
        message = f"the range is {text!r}; {found.path} has {size} bytes"
        raise HubError(message, status=416, headers={"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return BlobResponse(call.hub.storage, found.blob, start, end, 206, headers)


def describe(found: Found) -> dict[str, str]:
    name, ending = PurePosixPath(found.path).name, PurePosixPath(found.path).suffix.lower()
    is_shown = ending in SHOWN
    headers = {
        "Content-Type": SHOWN.get(ending, "application/octet-stream"),
        "Content-Disposition": f"{'inline' if is_shown else 'attachment'}; filename*=UTF-8''{quote(name)}",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; media-src 'self'; sandbox",
        "ETag": f'"{found.etag}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-cache",  # ask again whether it is still the same: a branch moves on
        "X-Repo-Commit": found.commit,
    }
    if found.entry.is_large:
        headers |= {"X-Linked-Size": str(found.blob.size), "X-Linked-Etag": f'"{found.etag}"'}
    return headers


def is_known(header: str | None, etag: str) -> bool:
    """Whether the client has it already."""
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in (header or "").split(",")]
    return etag in tags or "*" in tags


def parse_range(text: str, size: int) -> tuple[int, int] | None:
    """The bytes [start, end) of a Range header; empty where there are none; None where it is to be ignored."""
    unit, _, wanted = text.partition("=")
    first, dash, last = (part.strip() for part in wanted.partition("-"))
    is_plain = all(not part or (part.isascii() and part.isdecimal() and len(part) < 20) for part in (first, last))
    if unit.strip() != "bytes" or not dash or not is_plain or not (first or last):
        return None
    if not first:
        return max(0, size - int(last)), size if int(last) else 0
    end = min(int(last) + 1, size) if last else size
    if last and int(last) < int(first):
        return None
    return int(first), end


class BlobResponse(Response):
    """Contents, or a range of them: by the kernel, from the disk to the network, where the server can let it."""

    def __init__(
        self, storage: Storage, blob: Blob, start: int, end: int, status: int, headers: dict[str, str]
    ) -> None:
        self.storage, self.blob, self.start, self.end = storage, blob, start, end
        self.status_code, self.background = status, None
        self.init_headers({**headers, "Content-Length": str(end - start)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        beginning = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        path = self.storage.path(self.blob.place)
        send_file = scope.get("state", {}).get("send_file")
        if scope["method"] == "HEAD":
            await send(beginning)
        elif path and send_file:
            with path.open("rb") as file:
                await send_file(partial(send, beginning), file, self.start, self.end)
        else:
            pieces = self.storage.read(self.blob.place, self.start, self.end)
            await send(beginning)
            async for piece in iterate_in_threadpool(pieces):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


FILE = "{namespace}/{name}/resolve/{revision}/{path:path}"
METHODS = ["GET", "HEAD"]
ROUTES = [
    Route(f"/{FILE}", download, methods=METHODS),
    Route(f"/{{kinds}}/{FILE}", download, methods=METHODS),
]
