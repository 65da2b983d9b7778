"""The web application: all routes, the conversion of errors to answers, and limits and headers for every request."""

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

from muybridge_hub.api import ROUTES as API_ROUTES
from muybridge_hub.api.account import refuse_unknown
from muybridge_hub.calls import make_endpoint
from muybridge_hub.errors import BadRequest, HubError
from muybridge_hub.hub import Hub
from muybridge_hub.inference import Predictor
from muybridge_hub.pages import ROUTES as PAGE_ROUTES, render_error, wants_page

NUM_THREADS = 64
FLUSH_SECONDS = 2.0

logger = logging.getLogger("muybridge_hub")


def create_app(hub: Hub) -> "Guard":
    """Creates the web application of a hub. When the application shuts down, it closes the hub."""

    @asynccontextmanager
    async def run_lifespan(_: Starlette) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = NUM_THREADS
        await run_in_threadpool(hub.repositories.update_stale_facts)
        flushing = asyncio.create_task(flush_downloads(hub))
        try:
            yield
        finally:
            flushing.cancel()
            if app.state.predictor:
                await app.state.predictor.stop()
            await run_in_threadpool(hub.download_counter.flush)
            hub.close()

    unknown_api_route = Route(
        "/api/{rest:path}", make_endpoint(refuse_unknown), methods=["GET", "POST", "PUT", "DELETE", "PATCH"]
    )
    routes = [*API_ROUTES, unknown_api_route, *PAGE_ROUTES]
    handlers = {
        HubError: answer_error,
        HTTPException: answer_error,
        ClientDisconnect: answer_disconnect,
        DataError: answer_bad_data,
        OperationalError: answer_busy,
    }
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=run_lifespan)
    app.state.hub = hub
    app.state.predictor = Predictor(hub.settings, hub.tokens.server_token) if hub.settings.inference else None
    return Guard(app, hub)


async def flush_downloads(hub: Hub) -> None:
    """Writes the counts of downloads to the database every few seconds."""
    while True:
        await asyncio.sleep(FLUSH_SECONDS)
        try:
            await run_in_threadpool(hub.download_counter.flush)
        except SQLAlchemyError:
            logger.exception("the counts of downloads could not be written; this is tried again later")


async def answer_error(request: Request, error: Exception) -> Response:
    """Answers with an error: the message in JSON and in the headers that clients read, or as a page for browsers."""
    if isinstance(error, HTTPException):
        error = HubError(f"{request.method} {request.url.path[:200]}: {error.detail}", status=error.status_code)
    assert isinstance(error, HubError)
    headers = {"X-Error-Message": make_header_text(error.message), **error.headers}
    if error.code:
        headers["X-Error-Code"] = error.code
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if wants_page(request):
        page = await run_in_threadpool(render_error, request, error)
        page.headers.update(headers)
        return page
    return JSONResponse({"error": error.message}, error.status, headers)


async def answer_disconnect(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # the client is gone and does not read it


async def answer_bad_data(request: Request, _: Exception) -> Response:
    """Answers where the database refuses a value, such as text with a null character."""
    return await answer_error(request, BadRequest("the request has a character that no name and no text may have"))


async def answer_busy(request: Request, error: Exception) -> Response:
    """Answers where the database does not respond in time."""
    logger.warning("the database did not answer in time", exc_info=error)
    return await answer_error(request, HubError("the hub is busy; try again", status=503, headers={"Retry-After": "1"}))


def make_header_text(text: str) -> str:
    return "".join(letter if 32 <= ord(letter) < 127 else "?" for letter in text)[:1000]


SECURITY_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-opener-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    b"media-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}


class Guard:
    """Wraps the application: keeps paths quoted, adds security headers, and disconnects clients that stall."""

    def __init__(self, app: ASGIApp, hub: Hub) -> None:
        self.app, self.settings = app, hub.settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope.setdefault("app", self.app)  # so that error pages can be rendered outside the application too
        # Routes match the path in its quoted form, so that a quoted slash (%2F) in a name does not separate.
        scope = {**scope, "path": scope["raw_path"].decode("ascii", "replace")}

        has_started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                present = {name for name, _ in message["headers"]}
                added = [(name, value) for name, value in SECURITY_HEADERS.items() if name not in present]
                message = {**message, "headers": [*message["headers"], *added]}
            try:
                async with asyncio.timeout(self.settings.idle_seconds):
                    await send(message)
            except TimeoutError:
                scope["state"]["abort"]()  # the client has stopped reading

        try:
            await self.app(scope, self.limit_waiting(receive), send_with_headers)
        except Exception:
            logger.exception("%s %s failed", scope["method"], scope["path"])
            if has_started:
                raise
            failure = HubError("the hub failed to answer this request; its log says why", status=500)
            await (await answer_error(Request(scope), failure))(scope, receive, send_with_headers)

    def limit_waiting(self, receive: Receive) -> Receive:
        """Wraps `receive`: fails where the body of the request stops arriving, or arrives too slowly."""
        started, received, is_complete = time.monotonic(), 0, False

        async def receive_in_time() -> Message:
            nonlocal received, is_complete
            if is_complete:
                return await receive()
            try:
                async with asyncio.timeout(self.settings.idle_seconds):
                    message = await receive()
            except TimeoutError as error:
                raise HubError("the body of the request did not arrive in time", status=408) from error
            is_complete = not message.get("more_body", False)
            received += len(message.get("body", b""))
            elapsed = time.monotonic() - started
            if elapsed > self.settings.idle_seconds and received / elapsed < self.settings.min_bytes_per_second:
                raise HubError("the body of the request arrives too slowly", status=408)
            return message

        return receive_in_time
