"""Receives large files outside commits, whole or in parts: git's LFS protocol, and the Hub's multipart extension."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from math import ceil
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from muybridge_hub.api.repositories import REPOSITORY_PATH
from muybridge_hub.blob_store import Blob
from muybridge_hub.calls import Call, make_endpoint, parse_int_or_zero, run_as_copier, run_as_writer
from muybridge_hub.errors import BadRequest, Forbidden, NotFound, NotOffered, TooLarge
from muybridge_hub.names import SHA256, RepoName, check_sha256, parse_kind, parse_repo_name
from muybridge_hub.repositories import Repository

MAX_OBJECTS = 1000
MAX_PARTS = 10_000
PIECE_SIZE = 1 << 20


def answer_batch(call: Call) -> Response:
    """For each object: the URLs to upload it to, unless its content is already here."""
    if call.json.get("operation") != "upload":
        raise NotOffered("this hub receives LFS objects here, but does not send them: download from /resolve/")
    objects = call.get_field("objects", list, [])
    if len(objects) > MAX_OBJECTS or not all(isinstance(item, dict) for item in objects):
        raise BadRequest(f"objects must be a list of up to {MAX_OBJECTS} objects with oid and size")
    sizes = {check_sha256(item.get("oid")): check_file_size(call, item.get("size")) for item in objects}
    transfers = call.get_field("transfers", list, ["basic"])
    with call.hub.database.write() as connection:
        repository = call.hub.repositories.find_writable(connection, call.viewer, parse_git_name(call))
        present = call.hub.blob_store.claim(connection, call.viewer, repository.id, sizes)
    settings = call.hub.settings
    if sum(size // settings.part_size for size in sizes.values()) > MAX_PARTS:
        raise TooLarge(f"these files have more than {MAX_PARTS} parts in total; upload fewer of them at once")
    uses_parts = "multipart" in transfers and any(size >= call.hub.settings.multipart_from for size in sizes.values())
    answer = {
        "transfer": "multipart" if uses_parts else "basic",
        "objects": [
            {"oid": sha256, "size": size}
            | ({} if sha256 in present else make_upload_actions(call, repository, sha256, size, uses_parts))
            for sha256, size in sizes.items()
        ],
    }
    return JSONResponse(answer, media_type="application/vnd.git-lfs+json")


def parse_git_name(call: Call) -> RepoName:
    """Parses the repository's name from a path such as /datasets/a/b.git/info/lfs."""
    name = call.get_path_parameter("name")
    if not name.endswith(".git"):
        raise NotFound(f"there is no {call.request.url.path[:200]!r}")
    return parse_repo_name(call.kind, f"{call.get_path_parameter('namespace')}/{name.removesuffix('.git')}")


def check_file_size(call: Call, size: object) -> int:
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise BadRequest(f"the size is {str(size)[:50]!r}; it must be a number of bytes")
    if size > call.hub.settings.max_file_size:
        raise TooLarge(
            f"the file has {size} bytes; this hub takes files of up to {call.hub.settings.max_file_size} bytes"
        )
    return size


def make_upload_actions(call: Call, repository: Repository, sha256: str, size: int, uses_parts: bool) -> dict[str, Any]:
    """The URLs to upload an object to, in the form of the LFS protocol. Each of them is signed: see `SignedUpload`."""
    expires = int(time.time()) + call.hub.settings.upload_hours * 3600

    def sign_url(action: str, *values: object) -> str:
        token = call.viewer.token_id
        signature = call.hub.tokens.sign(action, repository.id, sha256, size, expires, token, *values)
        path = "/".join(map(str, (action, repository.id, sha256, *values)))
        return f"{call.base_url}/lfs/{path}?size={size}&expires={expires}&token={token}&signature={signature}"

    upload: dict[str, Any] = {"href": sign_url("whole")}
    if uses_parts and size >= call.hub.settings.multipart_from:
        part_size = max(call.hub.settings.part_size, ceil(size / MAX_PARTS))
        name, num_parts = secrets.token_hex(8), ceil(size / part_size)
        parts = {str(number): sign_url("part", name, part_size, number) for number in range(1, num_parts + 1)}
        upload = {"href": sign_url("join", name, part_size), "header": {"chunk_size": str(part_size), **parts}}
    verify = {"href": f"{call.base_url}/lfs/verify/{call.kind}s/{repository.name.id}"}
    return {"actions": {"upload": upload, "verify": verify}, "authenticated": True}


class SignedUpload:
    """A request to a URL that `make_upload_actions` signed. The URL says what may be uploaded."""

    def __init__(self, request: Request, action: str) -> None:
        values, query = request.path_params, request.query_params
        self.hub = request.app.state.hub
        self.repository_id = parse_int_or_zero(values["repository"])
        self.sha256, self.size = values["sha256"], parse_int_or_zero(query.get("size", ""))
        self.name = values.get("upload", "")  # of a multipart upload, as are the next two
        self.part_size = parse_int_or_zero(values.get("part_size", ""))
        self.number = parse_int_or_zero(values.get("number", ""))
        expires, token_id = parse_int_or_zero(query.get("expires", "")), parse_int_or_zero(query.get("token", ""))
        part_values = [values[name] for name in ("upload", "part_size", "number") if name in values]
        signed = (action, self.repository_id, self.sha256, self.size, expires, token_id, *part_values)
        if not SHA256.fullmatch(self.sha256) or not self.hub.tokens.is_signed(query.get("signature", ""), *signed):
            raise Forbidden("this upload URL was not issued by this hub; request one with a token")
        if expires < time.time():
            raise Forbidden("this upload URL has expired; begin the upload again")
        self.hub.tokens.identify_by_id(token_id)  # raises if the token was revoked meanwhile

    @property
    def num_parts(self) -> int:
        return ceil(self.size / self.part_size)

    @property
    def part_length(self) -> int:
        return min(self.part_size, self.size - (self.number - 1) * self.part_size)


async def receive_whole(request: Request) -> Response:
    """Receives a large file in one request."""
    upload = await run_in_threadpool(SignedUpload, request, "whole")
    check_content_length(request, upload.size)
    receiver = await run_in_threadpool(upload.hub.blob_store.receive, upload.sha256, upload.size)
    try:
        await stream_body(request, receiver.write)
        blob = await run_in_threadpool(receiver.keep)
        await run_as_writer(upload.hub.blob_store.record, upload.repository_id, [blob])
    finally:
        await run_in_threadpool(receiver.discard)
    return Response()


async def receive_part(request: Request) -> Response:
    """Receives one part of a large file."""
    upload = await run_in_threadpool(SignedUpload, request, "part")
    check_content_length(request, upload.part_length)
    writer, received = await run_in_threadpool(upload.hub.multipart_uploads.open_writer, upload.name, upload.number), 0

    def write(data: bytes) -> None:
        nonlocal received
        received += len(data)
        if received > upload.part_length:
            raise BadRequest(f"part {upload.number} is longer than its {upload.part_length} bytes")
        writer.write(data)

    try:
        await stream_body(request, write)
        if received != upload.part_length:
            raise BadRequest(f"part {upload.number} has {received} bytes; it must have {upload.part_length}")
        await run_in_threadpool(writer.commit)
    finally:
        await run_in_threadpool(writer.discard)
    return Response(headers={"ETag": f'"{upload.name}-{upload.number}"'})


async def join_parts(request: Request) -> Response:
    """Joins the parts of a large file, after all of them were uploaded."""
    upload = await run_in_threadpool(SignedUpload, request, "join")
    arguments = (upload.repository_id, upload.name, upload.num_parts, upload.part_size, upload.sha256, upload.size)
    await run_as_copier(upload.hub.multipart_uploads.join, *arguments)
    return Response()


def check_content_length(request: Request, expected: int) -> None:
    """Compares the Content-Length header with the announced size, before the body is read."""
    length = request.headers.get("content-length")
    if length is not None and parse_int_or_zero(length) != expected:
        raise BadRequest(f"the Content-Length is {length}; {expected} bytes were announced")


async def stream_body(request: Request, write: Callable[[bytes], None]) -> None:
    """Writes the request's body in large pieces. A thread writes each piece while the next one is received."""
    writing: asyncio.Task[None] | None = None
    try:
        async for piece in merge_pieces(request.stream()):
            if writing:
                await writing
            writing = asyncio.create_task(run_in_threadpool(write, piece))
    finally:
        if writing:
            await writing


async def merge_pieces(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Merges small pieces of a stream into pieces of at least PIECE_SIZE bytes; only the last may be smaller."""
    buffer, size = [], 0
    async for piece in stream:
        buffer.append(piece)
        size += len(piece)
        if size >= PIECE_SIZE:
            yield b"".join(buffer)
            buffer, size = [], 0
    if buffer:
        yield b"".join(buffer)


def verify_upload(call: Call) -> dict[str, Any]:
    """Confirms that an uploaded object has arrived."""
    sha256, size = check_sha256(call.json.get("oid")), check_file_size(call, call.json.get("size"))
    with call.hub.database.write() as connection:
        repository = call.hub.repositories.find_writable(connection, call.viewer, call.repo_name)
        blob: Blob | None = call.hub.blob_store.claim(connection, call.viewer, repository.id, [sha256]).get(sha256)
    if blob is None or blob.size != size:
        raise NotFound(f"the object {sha256} of {size} bytes has not arrived; upload it again")
    return {}


def duplicate_files(call: Call) -> dict[str, Any]:
    """Copies large files from a repository that the viewer can read to one that they can write to."""
    target, files = call.get_field("target", dict, {}), call.get_field("files", list, [])
    name = parse_repo_name(parse_kind(target.get("type")), str(target.get("name", "")))
    hashes = [check_sha256(file.get("sha256")) for file in files[:MAX_OBJECTS] if isinstance(file, dict)]
    with call.hub.database.write() as connection:
        call.hub.repositories.find(connection, call.viewer, call.repo_name)
        repository = call.hub.repositories.find_writable(connection, call.viewer, name)
        present = call.hub.blob_store.claim(connection, call.viewer, repository.id, hashes)
    failed = [{"sha256": sha256, "error": "there is no such file"} for sha256 in hashes if sha256 not in present]
    return {"success": sorted(present), "failed": failed}


BATCH_PATH = "{namespace}/{name}/info/lfs/objects/batch"
ROUTES = [
    Route(f"/{BATCH_PATH}", make_endpoint(answer_batch), methods=["POST"]),
    Route(f"/{{kinds}}/{BATCH_PATH}", make_endpoint(answer_batch), methods=["POST"]),
    Route("/lfs/verify/{kinds}/{namespace}/{name}", make_endpoint(verify_upload), methods=["POST"]),
    Route("/lfs/whole/{repository}/{sha256}", receive_whole, methods=["PUT"]),
    Route("/lfs/part/{repository}/{sha256}/{upload}/{part_size}/{number}", receive_part, methods=["PUT"]),
    Route("/lfs/join/{repository}/{sha256}/{upload}/{part_size}", join_parts, methods=["POST"]),
    Route(REPOSITORY_PATH + "/lfs-files/duplicate", make_endpoint(duplicate_files), methods=["POST"]),
]
