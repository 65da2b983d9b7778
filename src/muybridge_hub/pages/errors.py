"""Errors as pages: for those who look at them, not for programs."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from muybridge_hub.calls import Call
from muybridge_hub.errors import HubError
from muybridge_hub.pages.site import render


def wants_page(request: Request) -> bool:
    is_api = request.url.path.startswith("/api/")
    return not is_api and "text/html" in request.headers.get("accept", "")


def render_error(request: Request, error: HubError) -> Response:
    """A page that says what went wrong, with the same status as programs get."""
    call = Call(request)
    title = HTTPStatus(error.status).phrase
    address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return render(
        call, "error.html", status=error.status, code=error.status, title=title, message=error.message, address=address
    )
