"""Large files come in chunks that clients pack and deduplicate: the upload half of the Xet protocol.

Clients that find hf_xet use it without being asked. They get an address and a token for a repository, send xorbs there,
and then a shard that says which files these make. Files are made and verified when their shard comes. Other parts of
the protocol are not found here: clients then do without deduplication across repositories, and download over HTTP.
"""

import time
from typing import Any, NamedTuple

from sqlalchemy import Connection, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from muybridge_hub.access import Viewer
from muybridge_hub.api.repositories import REPOSITORY
from muybridge_hub.api.uploads import pour
from muybridge_hub.calls import Call, endpoint, int_or_zero, read_body, run_copying
from muybridge_hub.contents import Blob
from muybridge_hub.database import repositories
from muybridge_hub.errors import Forbidden, NotFound, NotSignedIn, TooLarge
from muybridge_hub.hub import Hub
from muybridge_hub.names import RepoName, check_sha256
from muybridge_hub.repositories import Repository
from muybridge_hub.xet import MAX_SHARD_SIZE, MAX_XORB_SIZE, MissingXorb, ShardFile, Uploads, Xorbs, parse_shard

TOKEN_SECONDS = 3600  # clients ask for a new one in time
RECORD_FILES = 100


def give_write_token(call: Call) -> Response:
    """Where to send xorbs and shards, and a token for that, in both forms that clients read."""
    with call.hub.database.read() as connection:
        repository = call.hub.repositories.find_writable(connection, call.bearer, call.name)
    upload = open_uploads(call.hub, repository.id).begin()
    address = f"{call.base_url}/lfs/xet/{repository.id}/{upload}"
    expires = int(time.time()) + TOKEN_SECONDS
    words = (call.bearer.token_id, repository.id, expires)
    token = ".".join(map(str, (*words, call.hub.tokens.sign("xet", *words))))
    headers = {"X-Xet-Cas-Url": address, "X-Xet-Access-Token": token, "X-Xet-Token-Expiration": str(expires)}
    return JSONResponse({"casUrl": address, "accessToken": token, "exp": expires}, headers=headers)


def refuse_read_token(call: Call) -> None:
    with call.hub.database.read() as connection:
        call.hub.repositories.find(connection, call.viewer, call.name)
    raise NotFound("this hub takes uploads over Xet, but sends files over HTTP: download from /resolve/")


def open_uploads(hub: Hub, repository: int) -> Uploads:
    # A folder takes xorbs for half the time that these are kept, so that an upload has the other half to finish.
    return Uploads(hub.storage, repository, hub.settings.upload_hours / 2)


class Upload(NamedTuple):
    """A request with a token that `give_write_token` gave out, for the repository in its address."""

    hub: Hub
    viewer: Viewer
    repository: Repository
    uploads: Uploads
    xorbs: Xorbs


def open_upload(request: Request) -> Upload:
    hub: Hub = request.app.state.hub
    token_id, repository_id = check_token(hub, request.headers.get("authorization", ""))
    if str(repository_id) != request.path_params["repository"]:
        raise Forbidden("this token is for uploads to another repository")
    name = request.path_params["upload"]
    if not name.isascii() or not name.isalnum() or len(name) != 16:
        raise NotFound(f"there is no upload {name[:50]!r}; begin it again")
    viewer = hub.tokens.identify_id(token_id)
    with hub.database.read() as connection:
        repository = find_by_id(hub, connection, viewer, repository_id)
    uploads = open_uploads(hub, repository_id)
    return Upload(hub, viewer, repository, uploads, uploads.xorbs(name))


def check_token(hub: Hub, authorization: str) -> tuple[int, int]:
    """The number of the token that this one was given for, and the repository that it is good for."""
    kind, _, token = authorization.partition(" ")
    words, _, signature = token.strip().rpartition(".")
    numbers = tuple(map(int_or_zero, words.split(".")))
    if kind.lower() != "bearer" or len(numbers) != 3 or not hub.tokens.is_signed(signature, "xet", *numbers):
        raise NotSignedIn("this token was not given out for uploads by this hub; ask it for one")
    token_id, repository, expires = numbers
    if expires < time.time():
        raise NotSignedIn("this token for uploads is too old; ask for another")
    return token_id, repository


def find_by_id(hub: Hub, connection: Connection, viewer: Viewer, repository_id: int) -> Repository:
    """The repository, if it is still there and the viewer may still write to it."""
    columns = (repositories.c.kind, repositories.c.namespace, repositories.c.name)
    row = connection.execute(select(*columns).where(repositories.c.id == repository_id)).one_or_none()
    if row is None:
        raise NotFound("the repository of this upload was deleted")
    return hub.repositories.find_writable(connection, viewer, RepoName(*row))


async def receive_xorb(request: Request) -> Response:
    upload = await run_in_threadpool(open_upload, request)
    if int_or_zero(request.headers.get("content-length", "")) > MAX_XORB_SIZE:
        raise TooLarge(f"a xorb has more than {MAX_XORB_SIZE} bytes")
    receiver = await run_in_threadpool(upload.xorbs.receive, check_sha256(request.path_params["xorb"]))
    try:
        await pour(request, receiver.write)
        await run_in_threadpool(receiver.keep)
    finally:
        await run_in_threadpool(receiver.discard)
    return JSONResponse({"was_inserted": True})


async def receive_shard(request: Request) -> Response:
    upload = await run_in_threadpool(open_upload, request)
    body = await read_body(request, MAX_SHARD_SIZE)
    return JSONResponse(await run_copying(make_files, upload, body))


def make_files(upload: Upload, body: bytes) -> dict[str, Any]:
    """Makes and verifies the files of a shard, but those that the viewer can read here already."""
    files = {file.sha256: file for file in parse_shard(body)}
    size, limit = sum(file.size for file in files.values()), upload.hub.settings.max_file_size
    if size > limit:
        raise TooLarge(f"the files of a shard have {size} bytes; this hub takes up to {limit} at once")
    with upload.hub.database.write() as connection:
        present = upload.hub.contents.claim(connection, upload.viewer, upload.repository.id, files)
    try:
        store([file for sha256, file in files.items() if sha256 not in present], upload)
    except MissingXorb:
        upload.uploads.forget()  # or the client would refer to it the next time as well
        raise
    return {"result": 1}


def store(files: list[ShardFile], upload: Upload) -> None:
    """Those that are proven stay, also when a later one turns out to be wrong: they need not be sent again."""
    arrived: list[Blob] = []
    try:
        for file in files:
            arrived.append(upload.hub.contents.store(upload.xorbs.read(file), file.sha256, file.size))
            if len(arrived) >= RECORD_FILES:
                upload.hub.contents.record(upload.repository.id, arrived)
                arrived = []
    finally:
        upload.hub.contents.record(upload.repository.id, arrived)


UPLOAD = "/lfs/xet/{repository}/{upload}"
ROUTES = [
    Route(REPOSITORY + "/xet-write-token/{revision}", endpoint(give_write_token)),
    Route(REPOSITORY + "/xet-read-token/{revision}", endpoint(refuse_read_token)),
    *(
        route
        for version in ("/v1", "")  # hf_xet before 1.3 names none
        for route in (
            Route(UPLOAD + version + "/xorbs/{prefix}/{xorb}", receive_xorb, methods=["POST"]),
            Route(UPLOAD + version + "/shards", receive_shard, methods=["POST"]),
        )
    ),
]
