"""Large files come on their own, whole or in parts: git's LFS protocol with the Hub's parts."""

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

from muybridge_hub.api.repositories import REPOSITORY
from muybridge_hub.calls import Call, endpoint, int_or_zero, run_copying, run_writing
from muybridge_hub.contents import Blob
from muybridge_hub.errors import BadRequest, Forbidden, NotFound, NotOffered, TooLarge
from muybridge_hub.names import SHA256, RepoName, check_sha256, parse_kind, parse_repo_name
from muybridge_hub.repositories import Repository

MAX_OBJECTS = 1000
MAX_PARTS = 10_000
WRITE_SIZE = 1 << 20


def batch(call: Call) -> Response:
    """For each object: nothing where its contents are here already, or else where to send them."""
    if call.json.get("operation") != "upload":
        raise NotOffered("this hub takes LFS objects by this way; to get them, download from /resolve/")
    objects = call.field("objects", list, [])
    if len(objects) > MAX_OBJECTS or not all(isinstance(item, dict) for item in objects):
        raise BadRequest(f"objects must be a list of up to {MAX_OBJECTS} objects with oid and size")
    wanted = {check_sha256(item.get("oid")): check_size(call, item.get("size")) for item in objects}
    transfers = call.field("transfers", list, ["basic"])
    with call.hub.database.write() as connection:
        repository = call.hub.repositories.find_writable(connection, call.viewer, git_name(call))
        present = call.hub.contents.claim(connection, call.viewer, repository.id, wanted)
    settings = call.hub.settings
    if sum(size // settings.part_size for size in wanted.values()) > MAX_PARTS:
        raise TooLarge(f"these files have more than {MAX_PARTS} parts together; ask for fewer of them at once")
    uses_parts = "multipart" in transfers and any(size >= call.hub.settings.multipart_from for size in wanted.values())
    answer = {
        "transfer": "multipart" if uses_parts else "basic",
        "objects": [
            {"oid": sha256, "size": size}
            | ({} if sha256 in present else locate(call, repository, sha256, size, uses_parts))
            for sha256, size in wanted.items()
        ],
    }
    return JSONResponse(answer, media_type="application/vnd.git-lfs+json")


def git_name(call: Call) -> RepoName:
    """The repository of an address such as /datasets/a/b.git/info/lfs."""
    name = call.text("name")
    if not name.endswith(".git"):
        raise NotFound(f"there is no {call.request.url.path[:200]!r}")
    return parse_repo_name(call.kind, f"{call.text('namespace')}/{name.removesuffix('.git')}")


def check_size(call: Call, size: object) -> int:
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise BadRequest(f"the size is {str(size)[:50]!r}; it must be a number of bytes")
    if size > call.hub.settings.max_file_size:
        raise TooLarge(
            f"a file of {size} bytes is more than this hub takes, which is {call.hub.settings.max_file_size}"
        )
    return size


def locate(call: Call, repository: Repository, sha256: str, size: int, uses_parts: bool) -> dict[str, Any]:
    expires = int(time.time()) + call.hub.settings.upload_hours * 3600

    def address(what: str, *words: object) -> str:
        token = call.viewer.token_id
        signature = call.hub.tokens.sign(what, repository.id, sha256, size, expires, token, *words)
        path = "/".join(map(str, (what, repository.id, sha256, *words)))
        return f"{call.base_url}/lfs/{path}?size={size}&expires={expires}&token={token}&signature={signature}"

    upload: dict[str, Any] = {"href": address("whole")}
    if uses_parts and size >= call.hub.settings.multipart_from:
        part_size = max(call.hub.settings.part_size, ceil(size / MAX_PARTS))
        name, num_parts = secrets.token_hex(8), ceil(size / part_size)
        parts = {str(number): address("part", name, part_size, number) for number in range(1, num_parts + 1)}
        upload = {"href": address("join", name, part_size), "header": {"chunk_size": str(part_size), **parts}}
    verify = {"href": f"{call.base_url}/lfs/verify/{call.kind}s/{repository.name.id}"}
    return {"actions": {"upload": upload, "verify": verify}, "authenticated": True}


class Upload:
    """An address that `locate` gave out, and nobody else could: it says what may be sent there."""

    def __init__(self, request: Request, what: str) -> None:
        values, query = request.path_params, request.query_params
        self.hub = request.app.state.hub
        self.repository, self.size = int_or_zero(values["repository"]), int_or_zero(query.get("size", ""))
        self.sha256, self.name = values["sha256"], values.get("upload", "")
        self.part_size, self.number = int_or_zero(values.get("part_size", "")), int_or_zero(values.get("number", ""))
        expires, token_id = int_or_zero(query.get("expires", "")), int_or_zero(query.get("token", ""))
        words = [values[name] for name in ("upload", "part_size", "number") if name in values]
        signed = (what, self.repository, self.sha256, self.size, expires, token_id, *words)
        if not SHA256.fullmatch(self.sha256) or not self.hub.tokens.is_signed(query.get("signature", ""), *signed):
            raise Forbidden("this address to upload to was not given out by this hub; ask it for one with a token")
        if expires < time.time():
            raise Forbidden("this address to upload to is too old; begin the upload again")
        self.hub.tokens.identify_id(token_id)  # or it was revoked meanwhile

    @property
    def num_parts(self) -> int:
        return ceil(self.size / self.part_size)

    @property
    def length_of_part(self) -> int:
        return min(self.part_size, self.size - (self.number - 1) * self.part_size)


async def receive_whole(request: Request) -> Response:
    upload = await run_in_threadpool(Upload, request, "whole")
    check_length(request, upload.size)
    receiver = await run_in_threadpool(upload.hub.contents.receive, upload.sha256, upload.size)
    try:
        await pour(request, receiver.write)
        blob = await run_in_threadpool(receiver.keep)
        await run_writing(upload.hub.contents.record, upload.repository, [blob])
    finally:
        await run_in_threadpool(receiver.discard)
    return Response()


async def receive_part(request: Request) -> Response:
    upload = await run_in_threadpool(Upload, request, "part")
    check_length(request, upload.length_of_part)
    writer, received = await run_in_threadpool(upload.hub.parts.writer, upload.name, upload.number), 0

    def write(data: bytes) -> None:
        nonlocal received
        received += len(data)
        if received > upload.length_of_part:
            raise BadRequest(f"part {upload.number} is longer than its {upload.length_of_part} bytes")
        writer.write(data)

    try:
        await pour(request, write)
        if received != upload.length_of_part:
            raise BadRequest(f"{received} bytes came of the {upload.length_of_part} of part {upload.number}")
        await run_in_threadpool(writer.commit)
    finally:
        await run_in_threadpool(writer.discard)
    return Response(headers={"ETag": f'"{upload.name}-{upload.number}"'})


async def join_parts(request: Request) -> Response:
    upload = await run_in_threadpool(Upload, request, "join")
    arguments = (upload.repository, upload.name, upload.num_parts, upload.part_size, upload.sha256, upload.size)
    await run_copying(upload.hub.parts.join, *arguments)
    return Response()


def check_length(request: Request, expected: int) -> None:
    """Before anything is read: is it what was announced?"""
    length = request.headers.get("content-length")
    if length is not None and int_or_zero(length) != expected:
        raise BadRequest(f"{length} bytes are about to come; {expected} were announced")


async def pour(request: Request, write: Callable[[bytes], None]) -> None:
    """Hands the body on in large pieces, each of which a thread writes while the next one comes."""
    writing: asyncio.Task[None] | None = None
    try:
        async for piece in in_large_pieces(request.stream()):
            if writing:
                await writing
            writing = asyncio.create_task(run_in_threadpool(write, piece))
    finally:
        if writing:
            await writing


async def in_large_pieces(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    waiting, size = [], 0
    async for piece in stream:
        waiting.append(piece)
        size += len(piece)
        if size >= WRITE_SIZE:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def verify(call: Call) -> dict[str, Any]:
    sha256, size = check_sha256(call.json.get("oid")), check_size(call, call.json.get("size"))
    with call.hub.database.write() as connection:
        repository = call.hub.repositories.find_writable(connection, call.viewer, call.name)
        blob: Blob | None = call.hub.contents.claim(connection, call.viewer, repository.id, [sha256]).get(sha256)
    if blob is None or blob.size != size:
        raise NotFound(f"the contents {sha256} of {size} bytes did not arrive; upload them again")
    return {}


def duplicate(call: Call) -> dict[str, Any]:
    """Gives large files of a repository that one can read to another that one can write to."""
    target, files = call.field("target", dict, {}), call.field("files", list, [])
    name = parse_repo_name(parse_kind(target.get("type")), str(target.get("name", "")))
    hashes = [check_sha256(file.get("sha256")) for file in files[:MAX_OBJECTS] if isinstance(file, dict)]
    with call.hub.database.write() as connection:
        call.hub.repositories.find(connection, call.viewer, call.name)
        repository = call.hub.repositories.find_writable(connection, call.viewer, name)
        present = call.hub.contents.claim(connection, call.viewer, repository.id, hashes)
    failed = [{"sha256": sha256, "error": "there are no such contents"} for sha256 in hashes if sha256 not in present]
    return {"success": sorted(present), "failed": failed}


BATCH = "{namespace}/{name}/info/lfs/objects/batch"
ROUTES = [
    Route(f"/{BATCH}", endpoint(batch), methods=["POST"]),
    Route(f"/{{kinds}}/{BATCH}", endpoint(batch), methods=["POST"]),
    Route("/lfs/verify/{kinds}/{namespace}/{name}", endpoint(verify), methods=["POST"]),
    Route("/lfs/whole/{repository}/{sha256}", receive_whole, methods=["PUT"]),
    Route("/lfs/part/{repository}/{sha256}/{upload}/{part_size}/{number}", receive_part, methods=["PUT"]),
    Route("/lfs/join/{repository}/{sha256}/{upload}/{part_size}", join_parts, methods=["POST"]),
    Route(REPOSITORY + "/lfs-files/duplicate", endpoint(duplicate), methods=["POST"]),
]
