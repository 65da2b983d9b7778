"""Parses and checks requests: `Call` is what every endpoint receives."""

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

from muybridge_hub.access import ANONYMOUS, Viewer
from muybridge_hub.errors import BadRequest, HubError, NotFound, TooLarge
from muybridge_hub.hub import Hub
from muybridge_hub.names import KINDS, Kind, RepoName, check_path, parse_repo_name

SESSION_COOKIE = "muybridge_hub_session"


class Call:
    """A request, its body if the endpoint needs it, and the hub.

    Path parameters of routes are still quoted, as the client sent them: `get_path_parameter` unquotes them.
    """

    def __init__(self, request: Request, body: bytes = b"") -> None:
        self.request, self.body = request, body
        self.hub: Hub = request.app.state.hub

    @cached_property
    def viewer(self) -> Viewer:
        """Who makes the request, by the token in the header; to read, a browser session is enough."""
        if "authorization" not in self.request.headers and self.request.method in ("GET", "HEAD"):
            return self.session_viewer
        return self.token_viewer

    @cached_property
    def token_viewer(self) -> Viewer:
        """Who makes the request, by the token in the header only."""
        kind, _, token = self.request.headers.get("authorization", "").partition(" ")
        return self.hub.tokens.identify(token.strip() if kind.lower() == "bearer" else None)

    @cached_property
    def session_viewer(self) -> Viewer:
        """Who makes the request, by the session cookie of a browser. A cookie that is not valid means anonymous."""
        token_id, _, signature = self.request.cookies.get(SESSION_COOKIE, "").partition(".")
        if not token_id.isdecimal() or not self.hub.tokens.is_signed(signature, "session", int(token_id[:18])):
            return ANONYMOUS
        try:
            return self.hub.tokens.identify_by_id(int(token_id[:18]))
        except HubError:
            return ANONYMOUS

    @cached_property
    def kind(self) -> Kind:
        """The kind of repository that the path is about."""
        plural = self.request.path_params.get("kinds", "models")
        for kind in KINDS:
            if plural == kind + "s":
                return kind
        raise NotFound(f"there are no {plural[:50]!r} here, only {', '.join(kind + 's' for kind in KINDS)}")

    @cached_property
    def repo_name(self) -> RepoName:
        """The name of the repository in the path."""
        return parse_repo_name(self.kind, f"{self.get_path_parameter('namespace')}/{self.get_path_parameter('name')}")

    def get_path_parameter(self, parameter: str, default: str = "") -> str:
        """A parameter of the path, unquoted."""
        return unquote(self.request.path_params.get(parameter, default), errors="replace")

    @property
    def path(self) -> str:
        """The path of a file or folder in the repository; "" is its root folder."""
        text = self.get_path_parameter("path").strip("/")
        return check_path(text) if text else ""

    @property
    def query(self) -> Any:
        return self.request.query_params

    def get_number(self, name: str, default: int) -> int:
        text = self.query.get(name, "")
        if not text:
            return default
        if not text.isascii() or not text.isdecimal() or len(text) > 9:
            raise BadRequest(f"{name} is {text[:50]!r}; it must be a number")
        return int(text)

    def get_flag(self, name: str) -> bool:
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

    def get_field(self, name: str, type_: type, default: Any = None) -> Any:
        """A field of the JSON body, checked to be of a type; the default if it is missing or null."""
        value = self.json.get(name)
        if value is None:
            return default
        if not isinstance(value, type_) or (type_ is int and isinstance(value, bool)):
            raise BadRequest(f"{name} is {str(value)[:80]!r}; it must be of the type {type_.__name__}")
        return value

    @property
    def base_url(self) -> str:
        """The URL by which the client reaches this server, without a slash at the end."""
        return self.hub.settings.public_url or str(self.request.base_url).rstrip("/")


MAX_ANONYMOUS_BODY = 1 << 20

EndpointFunction = Callable[[Call], Any]
Result = TypeVar("Result")


def make_endpoint(function: EndpointFunction) -> Callable[[Request], Awaitable[Response]]:
    """Makes a Starlette endpoint of a function. It runs in a thread, and returns a Response or a value for JSON."""

    async def handle(request: Request) -> Response:
        has_token = "authorization" in request.headers  # `function` checks later whether the token is valid
        limit = request.app.state.hub.settings.max_json_size if has_token else MAX_ANONYMOUS_BODY
        body = await read_body(request, limit)
        run = run_in_threadpool if request.method in ("GET", "HEAD") else run_as_writer
        answer = await run(function, Call(request, body))
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    return handle


# Writers wait for each other. These limits keep enough threads free for requests that only read.
WRITE_LIMITER, COPY_LIMITER = anyio.CapacityLimiter(24), anyio.CapacityLimiter(4)


async def run_as_writer(function: Callable[..., Result], *arguments: Any) -> Result:
    """Runs a function that writes to the database in a thread. Only a few of them run at the same time."""
    return await anyio.to_thread.run_sync(function, *arguments, limiter=WRITE_LIMITER)


async def run_as_copier(function: Callable[..., Result], *arguments: Any) -> Result:
    """Runs a function that reads and writes whole files in a thread. Even fewer of them run at the same time."""
    return await anyio.to_thread.run_sync(function, *arguments, limiter=COPY_LIMITER)


async def read_body(request: Request, limit: int) -> bytes:
    """Reads the whole body of a request. A body of more than `limit` bytes is refused."""
    if request.method in ("GET", "HEAD"):
        return b""
    if parse_int_or_zero(request.headers.get("content-length", "")) > limit:
        raise TooLarge(f"the body is larger than {limit} bytes")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise TooLarge(f"the body is larger than {limit} bytes")
    return bytes(body)


def parse_int_or_zero(text: str) -> int:
    """Parses a number of up to 19 digits; 0 for any other text."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0
