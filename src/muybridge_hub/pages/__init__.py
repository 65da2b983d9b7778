"""Web pages, rendered on the server. They work without JavaScript, and load nothing from other sites.

lists.py         lists of models and data sets, with search and filters
repositories.py  the pages of a repository: card, files, history
sessions.py      signing in and out
errors.py        error pages

site.py          what all pages share: templates, static files, URLs
cards.py         renders the Markdown of cards as safe HTML
results.py       reads the evaluation results of a card
usage.py         the commands and code that use a repository
formatting.py    formats sizes, counts and times
"""

from functools import partial

from starlette.convertors import StringConvertor, register_url_convertor
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from muybridge_hub.calls import Call, EndpointFunction, make_endpoint
from muybridge_hub.names import KINDS
from muybridge_hub.pages import lists, repositories, sessions, site
from muybridge_hub.pages.errors import render_error, wants_page

__all__ = ["ROUTES", "render_error", "wants_page"]


class KindConvertor(StringConvertor):
    """Matches the first part of the URLs of data sets and spaces. No namespace can have these names."""

    regex = "datasets|spaces"


register_url_convertor("kinds", KindConvertor())


def show_health(_: Call) -> Response:
    return PlainTextResponse("ok\n")


REPOSITORY_PATH = "{namespace}/{name}"

# The pages of a repository, by the part of the URL that follows its name.
REPOSITORY_PAGES: dict[str, EndpointFunction] = {
    "": repositories.show_card,
    "/tree/{revision}": repositories.show_folder,
    "/tree/{revision}/{path:path}": repositories.show_folder,
    "/blob/{revision}/{path:path}": repositories.show_file,
    "/commits/{revision}": repositories.show_history,
    "/commit/{revision}": repositories.show_commit,
}

ROUTES: list[BaseRoute] = [
    Route("/", make_endpoint(partial(lists.show_list, kind="model"))),
    *(Route(f"/{kind}s", make_endpoint(partial(lists.show_list, kind=kind))) for kind in KINDS),
    Route("/health", make_endpoint(show_health)),
    Route("/login", make_endpoint(sessions.show_login)),
    Route("/login", make_endpoint(sessions.login), methods=["POST"]),
    Route("/logout", make_endpoint(sessions.logout), methods=["POST"]),
    Route("/static/{digest}/{name}", make_endpoint(site.show_asset)),
    *(
        Route(f"/{{kinds:kinds}}/{REPOSITORY_PATH}{page}", make_endpoint(function))
        for page, function in REPOSITORY_PAGES.items()
    ),
    Route("/{namespace}", make_endpoint(lists.show_namespace)),
    *(Route(f"/{REPOSITORY_PATH}{page}", make_endpoint(function)) for page, function in REPOSITORY_PAGES.items()),
]
