"""What all pages share: templates, static files, URLs, and response headers."""

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
from muybridge_hub.pages import formatting, results

STATIC = Path(__file__).parent / "static"
CONTENT_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

PAGE_HEADERS = {
    "Cache-Control": "private, no-cache",
    "Vary": "Cookie",
    # Not no-referrer as for other responses, because then browsers would send forms without their Origin.
    "Referrer-Policy": "same-origin",
}
ASSET_CACHE_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable"}


def render(call: Call, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Renders a page. After a failure of the server, the session is not looked up, because that may fail again."""
    visitor = call.session_viewer if status < 500 else None
    html = ENVIRONMENT.get_template(template).render(visitor=visitor and visitor.name, **values)
    return HTMLResponse(html, status, PAGE_HEADERS)


@cache
def read_asset(name: str) -> tuple[bytes, str]:
    """Reads a static file; returns its content and a hash of it."""
    data = (STATIC / name).read_bytes()
    return data, hashlib.sha256(data).hexdigest()[:16]


def make_asset_url(name: str) -> str:
    """The URL of a static file. It contains the file's hash, so that it changes when the file does."""
    return f"/static/{read_asset(name)[1]}/{name}"


def show_asset(call: Call) -> Response:
    name, digest = call.get_path_parameter("name"), call.get_path_parameter("digest")
    exists = name in {path.name for path in STATIC.iterdir()}
    if not exists or read_asset(name)[1] != digest:
        raise NotFound(f"there is no version {digest[:20]!r} of {name[:100]!r}; load the page again")
    return Response(
        read_asset(name)[0], headers={"Content-Type": CONTENT_TYPES[Path(name).suffix], **ASSET_CACHE_HEADERS}
    )


def make_page_url(name: RepoName, page: str = "", revision: str = "", path: str = "") -> str:
    """The URL of a page of a repository, for a revision and a path in it."""
    parts = [name.url_path, page, quote(revision, safe=""), quote(path)]
    return "/" + "/".join(part for part in parts if part)


def make_list_url(kind: str, **chosen: str | None) -> str:
    """The URL of a list with the chosen filters."""
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
        "timestamp": formatting.format_timestamp,
        "first_result": results.read_first_result,
        "repo_name": lambda row: RepoName(row.kind, row.namespace, row.name),
    }
    environment.globals |= {"asset_url": make_asset_url, "page_url": make_page_url, "list_url": make_list_url}
    return environment


ENVIRONMENT = make_environment()
