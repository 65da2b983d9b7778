"""Downloads of files: whole, in ranges, or not at all where the client has the file already."""

from functools import partial
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import quote

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from muybridge_hub.blob_store import Blob
from muybridge_hub.calls import Call
from muybridge_hub.errors import EntryNotFound, HubError
from muybridge_hub.storage import Storage
from muybridge_hub.trees import Entry

# Browsers show files of these types. They save all others, so that no uploaded file can act as a page of this site.
INLINE_TYPES = {
    **{".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp"},
    **{".mp4": "video/mp4", ".webm": "video/webm"},
    **dict.fromkeys((".txt", ".md", ".json", ".yaml", ".yml", ".toml", ".csv", ".py"), "text/plain; charset=utf-8"),
}

MAX_SMALL_SIZE = 64 << 10  # files up to this size are read into memory and sent at once


class FoundFile(NamedTuple):
    """A file at a commit, with its blob."""

    commit: str
    path: str
    entry: Entry
    blob: Blob
    content: bytes | None  # of a small file, for which this is faster than sending from disk

    @property
    def etag(self) -> str:
        """The same as on the Hugging Face Hub, so that caches filled from there stay valid."""
        return self.entry.key if self.entry.is_large else self.entry.oid


def find_file(call: Call) -> FoundFile:
    """Finds the file that a request asks for, and counts the download."""
    with call.hub.database.read() as connection:
        repository = call.hub.repositories.find(connection, call.viewer, call.repo_name)
        commit = call.hub.repositories.resolve(connection, repository, call.get_path_parameter("revision"))
        try:
            entry = call.hub.repositories.trees.find_entry(connection, commit.tree, call.path)
            if entry.is_folder:
                raise EntryNotFound(f"{call.path!r} is a folder")
        except EntryNotFound as error:
            # Given the commit, clients can cache that the file does not exist.
            error.headers["X-Repo-Commit"] = commit.oid
            raise
        root = call.hub.repositories.trees.load_entries(connection, commit.tree)
        blob = call.hub.blob_store.find(entry.key, connection)
    if blob is None:
        raise HubError(f"the content of {call.path} is lost; `muybridge-hub check` says more", status=500)
    # One file stands for a download of the whole repository, so that each use of it counts once.
    counted_path = "config.json" if "config.json" in root else next(iter(root))
    if call.request.method == "GET" and call.path == counted_path:
        call.hub.download_counter.count(repository.id)
    is_small = blob.size <= MAX_SMALL_SIZE and call.request.method == "GET"
    return FoundFile(commit.oid, call.path, entry, blob, call.hub.blob_store.read_bytes(blob) if is_small else None)


async def download(request: Request) -> Response:
    """Sends a file or a range of it, or 304 if the client has it already."""
    call = Call(request)
    found = await run_in_threadpool(find_file, call)
    headers = make_headers(found)
    if matches_etag(request.headers.get("if-none-match"), found.etag):
        return Response(status_code=304, headers=headers)
    size, text = found.blob.size, request.headers.get("range")
    if_range = request.headers.get("if-range")
    byte_range = parse_range(text, size) if text and if_range in (None, f'"{found.etag}"') else None
    if byte_range is None:
        if found.content is not None:
            return Response(found.content, headers=headers)
        return BlobResponse(call.hub.storage, found.blob, 0, size, 200, headers)
    start, end = byte_range
    if start >= end:
        message = f"the range is {text!r}; {found.path} has {size} bytes"
        raise HubError(message, status=416, headers={"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return BlobResponse(call.hub.storage, found.blob, start, end, 206, headers)


def make_headers(found: FoundFile) -> dict[str, str]:
    name, ending = PurePosixPath(found.path).name, PurePosixPath(found.path).suffix.lower()
    is_shown = ending in INLINE_TYPES
    headers = {
        "Content-Type": INLINE_TYPES.get(ending, "application/octet-stream"),
        "Content-Disposition": f"{'inline' if is_shown else 'attachment'}; filename*=UTF-8''{quote(name)}",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; media-src 'self'; sandbox",
        "ETag": f'"{found.etag}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-cache",  # always revalidate: a branch may have moved
        "X-Repo-Commit": found.commit,
    }
    if found.entry.is_large:
        headers |= {"X-Linked-Size": str(found.blob.size), "X-Linked-Etag": f'"{found.etag}"'}
    return headers


def matches_etag(header: str | None, etag: str) -> bool:
    """Whether an If-None-Match header names this ETag: the client has the file already."""
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in (header or "").split(",")]
    return etag in tags or "*" in tags


def parse_range(text: str, size: int) -> tuple[int, int] | None:
    """The bytes [start, end) of a Range header: an empty range if the file has none of them, None to ignore it."""
    unit, _, bounds = text.partition("=")
    first, dash, last = (part.strip() for part in bounds.partition("-"))
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
    """Sends a blob or a range of it. If it is a local file, the kernel copies it from disk to network."""

    def __init__(
        self, storage: Storage, blob: Blob, start: int, end: int, status: int, headers: dict[str, str]
    ) -> None:
        self.storage, self.blob, self.start, self.end = storage, blob, start, end
        self.status_code, self.background = status, None
        self.init_headers({**headers, "Content-Length": str(end - start)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        response_start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        path = self.storage.get_local_path(self.blob.place)
        send_file = scope.get("state", {}).get("send_file")
        if scope["method"] == "HEAD":
            await send(response_start)
        elif path and send_file:
            with path.open("rb") as file:
                await send_file(partial(send, response_start), file, self.start, self.end)
        else:
            pieces = self.storage.read(self.blob.place, self.start, self.end)
            await send(response_start)
            async for piece in iterate_in_threadpool(pieces):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


FILE_PATH = "{namespace}/{name}/resolve/{revision}/{path:path}"
METHODS = ["GET", "HEAD"]
ROUTES = [
    Route(f"/{FILE_PATH}", download, methods=METHODS),
    Route(f"/{{kinds}}/{FILE_PATH}", download, methods=METHODS),
]
