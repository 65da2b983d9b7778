"""Pages for people, rendered here; they work without JavaScript and ask no other site for anything.

lists.py         models and data sets, searched and filtered
repositories.py  a repository: its card, its files, its history
sessions.py      signing in and out
errors.py        errors as pages

site.py          what all pages share: templates, static files, addresses
cards.py         Markdown becomes safe HTML
numbers.py       the numbers that a card states
usage.py         what to type to use a repository
formatting.py    sizes, counts and times in words
"""

from functools import partial

from starlette.convertors import StringConvertor, register_url_convertor
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from muybridge_hub.calls import Call, Function, endpoint
from muybridge_hub.names import KINDS
from muybridge_hub.pages import lists, repositories, sessions, site
from muybridge_hub.pages.errors import render_error, wants_page

__all__ = ["ROUTES", "render_error", "wants_page"]


class KindConvertor(StringConvertor):
    """What stands before the names of repositories that are no models: no namespace is called so."""

    regex = "datasets|spaces"


register_url_convertor("kinds", KindConvertor())


def show_health(_: Call) -> Response:
    return PlainTextResponse("ok\n")


REPOSITORY = "{namespace}/{name}"

# Of a repository, by what follows its name.
PAGES: dict[str, Function] = {
    "": repositories.show_card,
    "/tree/{revision}": repositories.show_folder,
    "/tree/{revision}/{path:path}": repositories.show_folder,
    "/blob/{revision}/{path:path}": repositories.show_file,
    "/commits/{revision}": repositories.show_history,
    "/commit/{revision}": repositories.show_commit,
}

ROUTES: list[BaseRoute] = [
    Route("/", endpoint(partial(lists.show_list, kind="model"))),
    *(Route(f"/{kind}s", endpoint(partial(lists.show_list, kind=kind))) for kind in KINDS),
    Route("/health", endpoint(show_health)),
    Route("/login", endpoint(sessions.show_login)),
    Route("/login", endpoint(sessions.login), methods=["POST"]),
    Route("/logout", endpoint(sessions.logout), methods=["POST"]),
    Route("/static/{digest}/{name}", endpoint(site.show_asset)),
    *(Route(f"/{{kinds:kinds}}/{REPOSITORY}{page}", endpoint(function)) for page, function in PAGES.items()),
    Route("/{namespace}", endpoint(lists.show_namespace)),
    *(Route(f"/{REPOSITORY}{page}", endpoint(function)) for page, function in PAGES.items()),
]
