"""Lists of repositories: searched, filtered by links, and what one user or lab published."""

from dataclasses import replace
from typing import Any

from starlette.responses import Response

from muybridge_hub.calls import Call
from muybridge_hub.errors import BadRequest, NotFound
from muybridge_hub.listing import Query, count_facets, count_repositories, list_repositories
from muybridge_hub.names import Kind, check_name
from muybridge_hub.pages.site import render

PAGE = 25
OF_ONE = 50  # of one user or lab, before their list is a page of its own

TITLES: dict[Kind, str] = {"model": "Models", "dataset": "Data sets", "space": "Spaces"}
SORTS = {"lastModified": "Recently changed", "downloads": "Most downloaded", "createdAt": "Newest"}

# What a list can be filtered by, and the words for it in an address.
FILTERS = {
    "task": "pipeline_tag",
    "architecture": "architecture",
    "licence": "license",
    "data set": "dataset",
    "tag": "tag",
    "publisher": "author",
}


def show_list(call: Call, kind: Kind) -> Response:
    query, chosen = make_query(call, kind), read_choices(call)
    with call.hub.database.read() as connection:
        rows, cursor = list_repositories(connection, call.visitor, query)
        total = count_repositories(connection, call.visitor, query)
        facets = count_facets(connection, call.visitor, query)
    values: dict[str, Any] = {"kind": kind, "title": TITLES[kind], "rows_found": rows, "total": total, "cursor": cursor}
    filters = {name: (parameter, chosen.get(parameter)) for name, parameter in FILTERS.items()}
    return render(
        call, "list.html", **values, facets=facets, filters=filters, chosen=chosen, sorts=SORTS, sort=query.sort,
        is_first=not query.cursor, base_url=call.base_url,
    )  # fmt: skip


def read_choices(call: Call) -> dict[str, str]:
    """What was searched for and chosen, by the words of the address: all but the page that one is on."""
    names = ("search", *FILTERS.values(), "sort")
    return {name: call.query[name].strip() for name in names if call.query.get(name, "").strip()}


def make_query(call: Call, kind: Kind) -> Query:
    chosen = read_choices(call)
    tags = [chosen["tag"]] if "tag" in chosen else []
    tags += ["dataset:" + chosen["dataset"]] if "dataset" in chosen else []
    return Query(
        kind=kind,
        search=chosen.get("search"),
        author=chosen.get("author"),
        tags=tuple(tags),
        pipeline_tag=chosen.get("pipeline_tag"),
        architecture=chosen.get("architecture"),
        licence=chosen.get("license"),
        sort=chosen.get("sort", "lastModified"),
        limit=PAGE,
        cursor=call.query.get("cursor"),
    )


def show_namespace(call: Call) -> Response:
    """What a user or a lab published. Who published nothing that the visitor may see is nobody."""
    namespace = call.text("namespace")
    try:
        check_name(namespace)
    except BadRequest as error:
        raise NotFound(f"there is no page {namespace[:100]!r}") from error
    query, found = Query(author=namespace, sort="lastModified", limit=OF_ONE), []
    with call.hub.database.read() as connection:
        for kind, title in TITLES.items():
            wanted = replace(query, kind=kind)
            total = count_repositories(connection, call.visitor, wanted)
            if total:
                found.append((kind, title, total, list_repositories(connection, call.visitor, wanted)[0]))
    if not found and call.visitor.name != namespace:
        raise NotFound(f"nobody called {namespace!r} published anything here that you may see")
    return render(call, "namespace.html", namespace=namespace, found=found, base_url=call.base_url)
