"""Receives large files as chunks that clients compress and deduplicate: the upload half of the Xet protocol.

Clients with hf_xet installed use Xet by default. They get a URL and a token for a repository, send xorbs there, and
then a shard that lists the files and their chunks. The hub builds and verifies the files when it receives the shard.
The rest of the protocol is missing here, so clients do not deduplicate across repositories, and download over HTTP.
"""

import time
from typing import Any, NamedTuple

from sqlalchemy import Connection, select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from muybridge_hub.access import Viewer
from muybridge_hub.api.repositories import REPOSITORY_PATH
from muybridge_hub.api.uploads import stream_body
from muybridge_hub.blob_store import Blob
from muybridge_hub.calls import Call, make_endpoint, parse_int_or_zero, read_body, run_as_copier
from muybridge_hub.database import repositories
from muybridge_hub.errors import Forbidden, NotFound, NotSignedIn, TooLarge
from muybridge_hub.hub import Hub
from muybridge_hub.names import RepoName, check_sha256
from muybridge_hub.repositories import Repository
from muybridge_hub.xet import MAX_SHARD_SIZE, MAX_XORB_SIZE, MissingXorb, ShardFile, XorbFolders, XorbStore, parse_shard

TOKEN_SECONDS = 3600  # clients request a new one before this one expires
FILES_PER_RECORD = 100


def give_write_token(call: Call) -> Response:
    """Gives the URL to send xorbs and shards to, and a token for it: in the body and in headers, for all clients."""
    with call.hub.database.read() as connection:
        repository = call.hub.repositories.find_writable(connection, call.token_viewer, call.repo_name)
    folder = open_xorb_folders(call.hub, repository.id).choose()
    url = f"{call.base_url}/lfs/xet/{repository.id}/{folder}"
    expires = int(time.time()) + TOKEN_SECONDS
    values = (call.token_viewer.token_id, repository.id, expires)
    token = ".".join(map(str, (*values, call.hub.tokens.sign("xet", *values))))
    headers = {"X-Xet-Cas-Url": url, "X-Xet-Access-Token": token, "X-Xet-Token-Expiration": str(expires)}
    return JSONResponse({"casUrl": url, "accessToken": token, "exp": expires}, headers=headers)


def refuse_read_token(call: Call) -> None:
    with call.hub.database.read() as connection:
        call.hub.repositories.find(connection, call.viewer, call.repo_name)
    raise NotFound("this hub receives files over Xet, but sends them over HTTP: download from /resolve/")


def open_xorb_folders(hub: Hub, repository_id: int) -> XorbFolders:
    # New uploads use a folder for half of the time that it is kept. So each has at least the other half to finish.
    return XorbFolders(hub.storage, repository_id, hub.settings.upload_hours / 2)


class XetUpload(NamedTuple):
    """A request with a token that `give_write_token` issued, for the repository in its URL."""

    hub: Hub
    viewer: Viewer
    repository: Repository
    folders: XorbFolders
    xorbs: XorbStore


def open_upload(request: Request) -> XetUpload:
    """Checks the token and the URL of an upload request."""
    hub: Hub = request.app.state.hub
    token_id, repository_id = check_token(hub, request.headers.get("authorization", ""))
    if str(repository_id) != request.path_params["repository"]:
        raise Forbidden("this token is for uploads to another repository")
    name = request.path_params["upload"]
    if not name.isascii() or not name.isalnum() or len(name) != 16:
        raise NotFound(f"there is no upload {name[:50]!r}; begin it again")
    viewer = hub.tokens.identify_by_id(token_id)
    with hub.database.read() as connection:
        repository = find_repository_by_id(hub, connection, viewer, repository_id)

    folders = open_xorb_folders(hub, repository_id)
    return XetUpload(hub, viewer, repository, folders, folders.open_xorbs(name))


def check_token(hub: Hub, authorization: str) -> tuple[int, int]:
    """Checks an Xet token. Returns the id of the access token it was issued for, and the repository it is valid for."""
    kind, _, token = authorization.partition(" ")
    values, _, signature = token.strip().rpartition(".")
    numbers = tuple(map(parse_int_or_zero, values.split(".")))
    if kind.lower() != "bearer" or len(numbers) != 3 or not hub.tokens.is_signed(signature, "xet", *numbers):
        raise NotSignedIn("this upload token was not issued by this hub; request one")
    token_id, repository_id, expires = numbers
    if expires < time.time():
        raise NotSignedIn("this upload token has expired; request a new one")
    return token_id, repository_id


def find_repository_by_id(hub: Hub, connection: Connection, viewer: Viewer, repository_id: int) -> Repository:
    """Finds a repository, and checks that the viewer may still write to it."""
    columns = (repositories.c.kind, repositories.c.namespace, repositories.c.name)
    row = connection.execute(select(*columns).where(repositories.c.id == repository_id)).one_or_none()
    if row is None:
        raise NotFound("the repository of this upload was deleted")
    return hub.repositories.find_writable(connection, viewer, RepoName(*row))


async def receive_xorb(request: Request) -> Response:
    upload = await run_in_threadpool(open_upload, request)
    if parse_int_or_zero(request.headers.get("content-length", "")) > MAX_XORB_SIZE:
        raise TooLarge(f"the xorb is larger than {MAX_XORB_SIZE} bytes")
    receiver = await run_in_threadpool(upload.xorbs.receive, check_sha256(request.path_params["xorb"]))
    try:
        await stream_body(request, receiver.write)
        await run_in_threadpool(receiver.keep)
    finally:
        await run_in_threadpool(receiver.discard)
    return JSONResponse({"was_inserted": True})


async def receive_shard(request: Request) -> Response:
    upload = await run_in_threadpool(open_upload, request)
    body = await read_body(request, MAX_SHARD_SIZE)
    return JSONResponse(await run_as_copier(join_files, upload, body))


def join_files(upload: XetUpload, body: bytes) -> dict[str, Any]:
    """Builds and verifies the files of a shard, except those that the viewer can already read here."""
    files = {file.sha256: file for file in parse_shard(body)}
    size, limit = sum(file.size for file in files.values()), upload.hub.settings.max_file_size
    if size > limit:
        raise TooLarge(f"the files of a shard have {size} bytes; this hub takes up to {limit} in one shard")
    with upload.hub.database.write() as connection:
        present = upload.hub.blob_store.claim(connection, upload.viewer, upload.repository.id, files)
    try:
        store_files([file for sha256, file in files.items() if sha256 not in present], upload)
    except MissingXorb:
        upload.folders.retire_all()  # otherwise the client would refer to the missing xorb again
        raise
    return {"result": 1}


def store_files(files: list[ShardFile], upload: XetUpload) -> None:
    """Builds and stores files. Verified files stay even if a later one is wrong: they need not be uploaded again."""
    arrived: list[Blob] = []
    try:
        for file in files:
            arrived.append(upload.hub.blob_store.store(upload.xorbs.read(file), file.sha256, file.size))
            if len(arrived) >= FILES_PER_RECORD:
                upload.hub.blob_store.record(upload.repository.id, arrived)
                arrived = []
    finally:
        upload.hub.blob_store.record(upload.repository.id, arrived)


UPLOAD_PATH = "/lfs/xet/{repository}/{upload}"
ROUTES = [
    Route(REPOSITORY_PATH + "/xet-write-token/{revision}", make_endpoint(give_write_token)),
    Route(REPOSITORY_PATH + "/xet-read-token/{revision}", make_endpoint(refuse_read_token)),
    *(
        route
        for version in ("/v1", "")  # hf_xet before 1.3 names no version
        for route in (
            Route(UPLOAD_PATH + version + "/xorbs/{prefix}/{xorb}", receive_xorb, methods=["POST"]),
            Route(UPLOAD_PATH + version + "/shards", receive_shard, methods=["POST"]),
        )
    ),
]
