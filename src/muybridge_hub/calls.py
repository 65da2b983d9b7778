"""What an endpoint is given: a request, taken apart and checked."""

import json
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import unquote

import anyio
import anyio.to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from muybridge_hub.access import ANYBODY, Viewer
from muybridge_hub.errors import BadRequest, HubError, NotFound, TooLarge
from muybridge_hub.hub import Hub
from muybridge_hub.names import KINDS, Kind, RepoName, check_path, parse_repo_name

SESSION = "muybridge_hub_session"


class Call:
    """A request whose body, if it was wanted, is there already. Routes hold the path as it was sent, still quoted."""

    def __init__(self, request: Request, body: bytes = b"") -> None:
        self.request, self.body = request, body
        self.hub: Hub = request.app.state.hub

    @cached_property
    def viewer(self) -> Viewer:
        """Who asks, by the token in the header; for reading also by the session of a browser."""
        if "authorization" not in self.request.headers and self.request.method in ("GET", "HEAD"):
            return self.visitor
        return self.bearer

    @cached_property
    def bearer(self) -> Viewer:
        """Who asks, by the token in the header alone."""
        kind, _, token = self.request.headers.get("authorization", "").partition(" ")
        return self.hub.tokens.identify(token.strip() if kind.lower() == "bearer" else None)

    @cached_property
    def visitor(self) -> Viewer:
        """Who looks at pages, by the session of a browser. A session that ended is nobody's."""
        token_id, _, signature = self.request.cookies.get(SESSION, "").partition(".")
        if not token_id.isdecimal() or not self.hub.tokens.is_signed(signature, "session", int(token_id[:18])):
            return ANYBODY
        try:
            return self.hub.tokens.identify_id(int(token_id[:18]))
        except HubError:
            return ANYBODY

    @cached_property
    def kind(self) -> Kind:
        plural = self.request.path_params.get("kinds", "models")
        for kind in KINDS:
            if plural == kind + "s":
                return kind
        raise NotFound(f"there are no {plural[:50]!r} here, only {', '.join(kind + 's' for kind in KINDS)}")

    @cached_property
    def name(self) -> RepoName:
        return parse_repo_name(self.kind, f"{self.text('namespace')}/{self.text('name')}")

    def text(self, parameter: str, default: str = "") -> str:
        """A part of the path, unquoted."""
        return unquote(self.request.path_params.get(parameter, default), errors="replace")

    @property
    def path(self) -> str:
        """The path of a file or a folder in the repository; "" is the root."""
        text = self.text("path").strip("/")
        return check_path(text) if text else ""

    @property
    def query(self) -> Any:
        return self.request.query_params

    def number(self, name: str, default: int) -> int:
        text = self.query.get(name, "")
        if not text:
            return default
        if not text.isascii() or not text.isdecimal() or len(text) > 9:
            raise BadRequest(f"{name} is {text[:50]!r}; it must be a number")
        return int(text)

    def flag(self, name: str) -> bool:
        return self.query.get(name, "").lower() in ("true", "1", "yes")

    @cached_property
    def json(self) -> dict[str, Any]:
        try:
            value = json.loads(self.body or b"{}")
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"the body is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise BadRequest(f"the body is a JSON {type(value).__name__}; it must be an object")
        return value

    def field(self, name: str, type_: type, default: Any = None) -> Any:
        """A field of the body, of a type; the default where it is missing or null."""
        value = self.json.get(name)
        if value is None:
            return default
        if not isinstance(value, type_) or (type_ is int and isinstance(value, bool)):
            raise BadRequest(f"{name} is {str(value)[:80]!r}; it must be of the type {type_.__name__}")
        return value

    @property
    def base_url(self) -> str:
        """What the client calls this server, without a slash in the end."""
        return self.hub.settings.public_url or str(self.request.base_url).rstrip("/")


MAX_ANONYMOUS_BODY = 1 << 20

Function = Callable[[Call], Any]
Result = TypeVar("Result")


def endpoint(function: Function) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint of a function that runs in a thread, and answers with a Response or with what becomes JSON."""

    async def handle(request: Request) -> Response:
        is_known = "authorization" in request.headers  # whether by a good token, the function will say
        limit = request.app.state.hub.settings.max_json_size if is_known else MAX_ANONYMOUS_BODY
        body = await read_body(request, limit)
        run = run_in_threadpool if request.method in ("GET", "HEAD") else run_writing
        answer = await run(function, Call(request, body))
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    return handle


# Whoever waits to write leaves threads to those who read.
WRITING, COPYING = anyio.CapacityLimiter(24), anyio.CapacityLimiter(4)


async def run_writing(function: Callable[..., Result], *arguments: Any) -> Result:
    """In a thread, of which only so many write at a time."""
    return await anyio.to_thread.run_sync(function, *arguments, limiter=WRITING)


async def run_copying(function: Callable[..., Result], *arguments: Any) -> Result:
    """The same for what reads and writes whole files."""
    return await anyio.to_thread.run_sync(function, *arguments, limiter=COPYING)


async def read_body(request: Request, limit: int) -> bytes:
    if request.method in ("GET", "HEAD"):
        return b""
    if int_or_zero(request.headers.get("content-length", "")) > limit:
        raise TooLarge(f"the body is larger than {limit} bytes")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise TooLarge(f"the body is larger than {limit} bytes")
    return bytes(body)


def int_or_zero(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0
