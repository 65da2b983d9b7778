"""What all pages share: templates, files of the site's own, addresses, and the head of every answer."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from muybridge_hub.calls import Call
from muybridge_hub.errors import NotFound
from muybridge_hub.names import RepoName
from muybridge_hub.pages import formatting, numbers

STATIC = Path(__file__).parent / "static"
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

HEADERS = {
    "Cache-Control": "private, no-cache",
    "Vary": "Cookie",
    # With no-referrer, as elsewhere on this server, browsers would not say either which site a form was sent from.
    "Referrer-Policy": "same-origin",
}
FOR_A_YEAR = {"Cache-Control": "public, max-age=31536000, immutable"}


def render(call: Call, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page. Of a request that failed in the server nothing is asked again, not even who looks."""
    visitor = call.visitor if status < 500 else None
    html = ENVIRONMENT.get_template(template).render(visitor=visitor and visitor.name, **values)
    return HTMLResponse(html, status, HEADERS)


@cache
def read_asset(name: str) -> tuple[bytes, str]:
    """A file of the site, and the hash of what is in it."""
    data = (STATIC / name).read_bytes()
    return data, hashlib.sha256(data).hexdigest()[:16]


def asset(name: str) -> str:
    """The address of a file of the site, which is another one when the file changes."""
    return f"/static/{read_asset(name)[1]}/{name}"


def show_asset(call: Call) -> Response:
    name, digest = call.text("name"), call.text("digest")
    is_there = name in {path.name for path in STATIC.iterdir()}
    if not is_there or read_asset(name)[1] != digest:
        raise NotFound(f"there is no {name[:100]!r} of the version {digest[:20]!r}; load the page again")
    return Response(read_asset(name)[0], headers={"Content-Type": TYPES[Path(name).suffix], **FOR_A_YEAR})


def place(name: RepoName, page: str = "", revision: str = "", path: str = "") -> str:
    """The address of a repository's page, of a revision and of a path in it."""
    parts = [name.address, page, quote(revision, safe=""), quote(path)]
    return "/" + "/".join(part for part in parts if part)


def list_place(kind: str, **chosen: str | None) -> str:
    """The address of a list, of what was chosen."""
    query = urlencode({name: value for name, value in chosen.items() if value})
    return f"/{kind}s" + (f"?{query}" if query else "")


def make_environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "size": formatting.format_size,
        "count": formatting.format_count,
        "age": formatting.format_age,
        "moment": formatting.format_moment,
        "headline": numbers.read_headline,
        "repo_name": lambda row: RepoName(row.kind, row.namespace, row.name),
    }
    environment.globals |= {"asset": asset, "place": place, "list_place": list_place}
    return environment


ENVIRONMENT = make_environment()
