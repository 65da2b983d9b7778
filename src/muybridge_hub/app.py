"""The application: routes, one place for errors, and what holds for every answer."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from sqlalchemy.exc import DataError, OperationalError, SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from muybridge_hub.api import ROUTES
from muybridge_hub.api.account import refuse
from muybridge_hub.calls import endpoint
from muybridge_hub.errors import BadRequest, HubError
from muybridge_hub.hub import Hub
from muybridge_hub.inference import Predictor
from muybridge_hub.pages import ROUTES as PAGES, render_error, wants_page

NUM_THREADS = 64
FLUSH_SECONDS = 2.0

logger = logging.getLogger("muybridge_hub")


def create_app(hub: Hub) -> "Guard":
    """The web application over a hub. Closing it closes the hub."""

    @asynccontextmanager
    async def live(_: Starlette) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = NUM_THREADS
        await run_in_threadpool(hub.repositories.describe_stale)
        counting = asyncio.create_task(flush_downloads(hub))
        try:
            yield
        finally:
            counting.cancel()
            if app.state.predictor:
                await app.state.predictor.stop()
            await run_in_threadpool(hub.downloads.flush)
            hub.close()

    rest = Route("/api/{rest:path}", endpoint(refuse), methods=["GET", "POST", "PUT", "DELETE", "PATCH"])
    routes = [*ROUTES, rest, *PAGES]
    handlers = {
        HubError: answer_error,
        HTTPException: answer_error,
        ClientDisconnect: answer_gone,
        DataError: answer_bad_data,
        OperationalError: answer_busy,
    }
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=live)
    app.state.hub = hub
    app.state.predictor = Predictor(hub.settings, hub.tokens.own) if hub.settings.inference else None
    return Guard(app, hub)


async def flush_downloads(hub: Hub) -> None:
    while True:
        await asyncio.sleep(FLUSH_SECONDS)
        try:
            await run_in_threadpool(hub.downloads.flush)
        except SQLAlchemyError:
            logger.exception("downloads could not be counted; they are counted later")


async def answer_error(request: Request, error: Exception) -> Response:
    """An error as clients understand it: its words in JSON, and in the headers that they look at."""
    if isinstance(error, HTTPException):
        error = HubError(f"{request.method} {request.url.path[:200]}: {error.detail}", status=error.status_code)
    assert isinstance(error, HubError)
    headers = {"X-Error-Message": as_header(error.message), **error.headers}
    if error.code:
        headers["X-Error-Code"] = error.code
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if wants_page(request):
        page = await run_in_threadpool(render_error, request, error)
        page.headers.update(headers)
        return page
    return JSONResponse({"error": error.message}, error.status, headers)


async def answer_gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it


async def answer_bad_data(request: Request, _: Exception) -> Response:
    """What a database refuses to compare with what it holds, such as letters that no text may have."""
    return await answer_error(request, BadRequest("there is a letter in this that no name and no text may have"))


async def answer_busy(request: Request, error: Exception) -> Response:
    logger.warning("the database did not answer in time", exc_info=error)
    return await answer_error(request, HubError("the hub is busy; try again", status=503, headers={"Retry-After": "1"}))


def as_header(text: str) -> str:
    return "".join(letter if 32 <= ord(letter) < 127 else "?" for letter in text)[:1000]


HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-opener-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    b"media-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}


class Guard:
    """Around the application: paths as they were sent, headers of safety, and no patience with clients that stall."""

    def __init__(self, app: ASGIApp, hub: Hub) -> None:
        self.app, self.settings = app, hub.settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope.setdefault("app", self.app)  # also for the answer where it fails
        # Routes match the path as it was sent, so that an encoded slash in a name is no separator.
        scope = {**scope, "path": scope["raw_path"].decode("ascii", "replace")}

        is_begun = False

        async def send_safely(message: Message) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start":
                is_begun = True
                present = {name for name, _ in message["headers"]}
                added = [(name, value) for name, value in HEADERS.items() if name not in present]
                message = {**message, "headers": [*message["headers"], *added]}
            try:
                async with asyncio.timeout(self.settings.idle_seconds):
                    await send(message)
            except TimeoutError:
                scope["state"]["abort"]()  # the client takes nothing any more

        try:
            await self.app(scope, self.hurry(receive), send_safely)
        except Exception:
            logger.exception("%s %s failed", scope["method"], scope["path"])
            if is_begun:
                raise
            failure = HubError("the hub failed at this; its log says why", status=500)
            await (await answer_error(Request(scope), failure))(scope, receive, send_safely)

    def hurry(self, receive: Receive) -> Receive:
        """A body that does not come, or hardly, ends the request."""
        begun, received, is_complete = time.monotonic(), 0, False

        async def receive_in_time() -> Message:
            nonlocal received, is_complete
            if is_complete:
                return await receive()
            try:
                async with asyncio.timeout(self.settings.idle_seconds):
                    message = await receive()
            except TimeoutError as error:
                raise HubError("the body of the request did not come", status=408) from error
            is_complete = not message.get("more_body", False)
            received += len(message.get("body", b""))
            elapsed = time.monotonic() - begun
            if elapsed > self.settings.idle_seconds and received / elapsed < self.settings.least_bytes_per_second:
                raise HubError("the body of the request comes too slowly", status=408)
            return message

        return receive_in_time
