"""A clip comes, and goes again when a model has said what it shows."""

import asyncio
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from muybridge_hub.access import Viewer
from muybridge_hub.api.uploads import pour
from muybridge_hub.calls import SESSION, Call, int_or_zero
from muybridge_hub.database import repositories
from muybridge_hub.errors import BadRequest, Forbidden, HubError, NotFound, TooLarge
from muybridge_hub.inference import Predictor
from muybridge_hub.repositories import MAIN

TASK = "video-classification"


class Model(NamedTuple):
    id: str
    commit: str


async def try_model(request: Request) -> Response:
    predictor: Predictor | None = request.app.state.predictor
    if predictor is None:
        raise NotFound(
            "models cannot be tried here; `muybridge-hub serve --inference COMMAND` starts a hub where they can"
        )
    call = Call(request)
    check_clip(call)
    model = await run_in_threadpool(find, call)
    with predictor.place_in_line(), predictor.clip_file(call.query.get("name", "")) as file:
        await receive(call, file)
        answer = await predictor.predict(own_address(request), *model, file.name, request.is_disconnected)
        if "error" in answer:
            raise HubError(str(answer["error"]).replace(file.name, "the clip"), status=422)
    answer = {name: answer.get(name) for name in ("labels", "frames", "seconds")}
    return JSONResponse({**answer, "commit": model.commit})


def check_clip(call: Call) -> None:
    """Before anything is read. With these types, a browser sends nothing for another site without asking us first."""
    content_type = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/octet-stream" and not content_type.startswith("video/"):
        message = f"the Content-Type is {content_type[:80]!r}; it must be video/… or application/octet-stream"
        raise HubError(message, status=415)
    check_size(call, int_or_zero(call.request.headers.get("content-length", "")))


def check_size(call: Call, size: int) -> None:
    limit = call.hub.settings.max_clip_size
    if size > limit:
        raise TooLarge(f"the clip is larger than {limit / 1e6:.0f} MB; try a shorter or a smaller one")


def find(call: Call) -> Model:
    """The model that is to be tried, if it is one that can be."""
    settings, trees = call.hub.settings, call.hub.repositories.trees
    with call.hub.database.read() as connection:
        repository = call.hub.repositories.find(connection, identify(call), call.name)
        commit = call.hub.repositories.resolve(connection, repository, call.query.get("revision") or MAIN)
        task = connection.scalar(select(repositories.c.pipeline_tag).where(repositories.c.id == repository.id))
        size = sum(file.entry.size or 0 for file in trees.files(connection, commit.tree))
    if task != TASK:
        raise BadRequest(f"the pipeline_tag of {repository.name} is {task!r}; only models for {TASK!r} are tried here")
    if size > settings.max_tried_model_size:
        limit = settings.max_tried_model_size / 1e9
        raise BadRequest(f"{repository.name} has {size / 1e9:.1f} GB; models of up to {limit:.1f} GB are tried here")
    return Model(repository.name.id, commit.oid)


def identify(call: Call) -> Viewer:
    """Who asks: by the token in the header, or by the session of a browser that is on our own page."""
    if "authorization" in call.request.headers or SESSION not in call.request.cookies:
        return call.viewer
    if call.visitor.name is not None and not is_from_own_page(call):
        raise Forbidden("another site may not try models in your name; open the page of the model on this hub")
    return call.visitor


def is_from_own_page(call: Call) -> bool:
    own = urlsplit(call.base_url)
    headers = call.request.headers
    return headers.get("sec-fetch-site") == "same-origin" or headers.get("origin") == f"{own.scheme}://{own.netloc}"


async def receive(call: Call, file: Any) -> None:
    received = 0

    def write(data: bytes) -> None:
        nonlocal received
        received += len(data)
        check_size(call, received)
        file.write(data)

    try:
        async with asyncio.timeout(call.hub.settings.clip_seconds):
            await pour(call.request, write)
    except TimeoutError as error:
        raise HubError("the clip comes too slowly; try a smaller one", status=408) from error
    await run_in_threadpool(file.flush)
    if not received:
        raise BadRequest("no clip was sent; it is to be the body of the request")


def own_address(request: Request) -> str:
    """Where this server can be reached from its own machine: where this connection arrived."""
    host, port = request.scope["server"]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


ROUTES = [Route("/api/models/{namespace}/{name}/try", try_model, methods=["POST"])]
