"""Error pages for browsers. Programs get errors as JSON."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from muybridge_hub.calls import Call
from muybridge_hub.errors import HubError
from muybridge_hub.pages.site import render


def wants_page(request: Request) -> bool:
    """Whether the client is a browser that should get errors as pages."""
    is_api = request.url.path.startswith("/api/")
    return not is_api and "text/html" in request.headers.get("accept", "")


def render_error(request: Request, error: HubError) -> Response:
    """Renders an error as a page, with the status of the error."""
    call = Call(request)
    title = HTTPStatus(error.status).phrase
    url = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return render(
        call, "error.html", status=error.status, code=error.status, title=title, message=error.message, url=url
    )
