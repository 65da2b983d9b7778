"""Receives a clip, lets a model classify it, and deletes the clip."""

import asyncio
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from muybridge_hub.access import Viewer
from muybridge_hub.api.uploads import stream_body
from muybridge_hub.calls import SESSION_COOKIE, Call, parse_int_or_zero
from muybridge_hub.database import repositories
from muybridge_hub.errors import BadRequest, Forbidden, HubError, NotFound, TooLarge
from muybridge_hub.inference import Predictor
from muybridge_hub.repositories import MAIN_BRANCH

TASK = "video-classification"


class TriedModel(NamedTuple):
    """A model at a commit, to be tried on a clip."""

    id: str
    commit: str


async def try_model(request: Request) -> Response:
    """Classifies the clip in the request's body with the model that the path names."""
    predictor: Predictor | None = request.app.state.predictor
    if predictor is None:
        raise NotFound(
            "models cannot be tried here; `muybridge-hub serve --inference COMMAND` starts a hub where they can"
        )
    call = Call(request)
    check_clip(call)
    model = await run_in_threadpool(find_model, call)
    with predictor.hold_place_in_queue(), predictor.make_clip_file(call.query.get("name", "")) as file:
        await receive_clip(call, file)
        answer = await predictor.predict(get_own_url(request), *model, file.name, request.is_disconnected)
        if "error" in answer:
            raise HubError(str(answer["error"]).replace(file.name, "the clip"), status=422)
    answer = {name: answer.get(name) for name in ("labels", "frames", "seconds")}
    return JSONResponse({**answer, "commit": model.commit})


def check_clip(call: Call) -> None:
    """Checks the headers before the body is read.

    Other types are refused because a page of another site could make the visitor's browser send them unasked.
    """
    content_type = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/octet-stream" and not content_type.startswith("video/"):
        message = f"the Content-Type is {content_type[:80]!r}; it must be video/… or application/octet-stream"
        raise HubError(message, status=415)
    check_clip_size(call, parse_int_or_zero(call.request.headers.get("content-length", "")))


def check_clip_size(call: Call, size: int) -> None:
    limit = call.hub.settings.max_clip_size
    if size > limit:
        raise TooLarge(f"the clip is larger than {limit / 1e6:.0f} MB; try a shorter or a smaller one")


def find_model(call: Call) -> TriedModel:
    """Finds the model of the request, and checks that it can be tried here."""
    settings, trees = call.hub.settings, call.hub.repositories.trees
    with call.hub.database.read() as connection:
        repository = call.hub.repositories.find(connection, identify_viewer(call), call.repo_name)
        commit = call.hub.repositories.resolve(connection, repository, call.query.get("revision") or MAIN_BRANCH)
        task = connection.scalar(select(repositories.c.pipeline_tag).where(repositories.c.id == repository.id))
        size = sum(file.entry.size or 0 for file in trees.list_files(connection, commit.tree))
    if task != TASK:
        raise BadRequest(f"the pipeline_tag of {repository.name} is {task!r}; only models for {TASK!r} are tried here")
    if size > settings.max_tried_model_size:
        limit = settings.max_tried_model_size / 1e9
        raise BadRequest(f"{repository.name} has {size / 1e9:.1f} GB; models of up to {limit:.1f} GB are tried here")
    return TriedModel(repository.name.id, commit.oid)


def identify_viewer(call: Call) -> Viewer:
    """The viewer by the token in the header, or by a browser session if the request comes from a page of this hub."""
    if "authorization" in call.request.headers or SESSION_COOKIE not in call.request.cookies:
        return call.viewer
    if call.session_viewer.name is not None and not is_from_own_page(call):
        raise Forbidden("another site may not try models in your name; open the page of the model on this hub")
    return call.session_viewer


def is_from_own_page(call: Call) -> bool:
    own_url = urlsplit(call.base_url)
    headers = call.request.headers
    return (
        headers.get("sec-fetch-site") == "same-origin"
        or headers.get("origin") == f"{own_url.scheme}://{own_url.netloc}"
    )


async def receive_clip(call: Call, file: Any) -> None:
    received = 0

    def write(data: bytes) -> None:
        nonlocal received
        received += len(data)
        check_clip_size(call, received)
        file.write(data)

    try:
        async with asyncio.timeout(call.hub.settings.clip_seconds):
            await stream_body(call.request, write)
    except TimeoutError as error:
        raise HubError("the clip arrives too slowly; try a smaller one", status=408) from error
    await run_in_threadpool(file.flush)
    if not received:
        raise BadRequest("no clip was sent; send it as the body of the request")


def get_own_url(request: Request) -> str:
    """The URL at which programs on this machine reach the server: the one at which this request arrived."""
    host, port = request.scope["server"]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


ROUTES = [Route("/api/models/{namespace}/{name}/try", try_model, methods=["POST"])]
