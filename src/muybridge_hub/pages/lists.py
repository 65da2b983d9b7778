"""Lists of repositories with search and filters, and the pages of users and labs."""

from dataclasses import replace
from typing import Any

from starlette.responses import Response

from muybridge_hub.calls import Call
from muybridge_hub.errors import BadRequest, NotFound
from muybridge_hub.listing import Query, count_facets, count_repositories, list_repositories
from muybridge_hub.names import Kind, check_name
from muybridge_hub.pages.site import render

LIST_PAGE_SIZE = 25
NAMESPACE_PAGE_SIZE = 50  # repositories on the page of a user or lab; a link leads to the full list

TITLES: dict[Kind, str] = {"model": "Models", "dataset": "Data sets", "space": "Spaces"}
SORTS = {"lastModified": "Recently changed", "downloads": "Most downloaded", "createdAt": "Newest"}

# The filters of a list, and their query parameters.
FILTERS = {
    "task": "pipeline_tag",
    "architecture": "architecture",
    "licence": "license",
    "data set": "dataset",
    "tag": "tag",
    "publisher": "author",
}


def show_list(call: Call, kind: Kind) -> Response:
    query, chosen = make_query(call, kind), read_chosen_filters(call)
    with call.hub.database.read() as connection:
        rows, cursor = list_repositories(connection, call.session_viewer, query)
        total = count_repositories(connection, call.session_viewer, query)
        facets = count_facets(connection, call.session_viewer, query)
    values: dict[str, Any] = {"kind": kind, "title": TITLES[kind], "rows_found": rows, "total": total, "cursor": cursor}
    filters = {name: (parameter, chosen.get(parameter)) for name, parameter in FILTERS.items()}
    return render(
        call, "list.html", **values, facets=facets, filters=filters, chosen=chosen, sorts=SORTS, sort=query.sort,
        is_first=not query.cursor, base_url=call.base_url,
    )  # fmt: skip


def read_chosen_filters(call: Call) -> dict[str, str]:
    """Reads the search, the filters and the order from the URL: everything but the position in the list."""
    names = ("search", *FILTERS.values(), "sort")
    return {name: call.query[name].strip() for name in names if call.query.get(name, "").strip()}


def make_query(call: Call, kind: Kind) -> Query:
    chosen = read_chosen_filters(call)
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
        limit=LIST_PAGE_SIZE,
        cursor=call.query.get("cursor"),
    )


def show_namespace(call: Call) -> Response:
    """Shows what a user or lab has published. The page is missing (404) if the visitor may see nothing of it."""
    namespace = call.get_path_parameter("namespace")
    try:
        check_name(namespace)
    except BadRequest as error:
        raise NotFound(f"there is no page {namespace[:100]!r}") from error
    query, found = Query(author=namespace, sort="lastModified", limit=NAMESPACE_PAGE_SIZE), []
    with call.hub.database.read() as connection:
        for kind, title in TITLES.items():
            kind_query = replace(query, kind=kind)
            total = count_repositories(connection, call.session_viewer, kind_query)
            if total:
                rows, _ = list_repositories(connection, call.session_viewer, kind_query)
                found.append((kind, title, total, rows))
    if not found and call.session_viewer.name != namespace:
        raise NotFound(f"{namespace!r} has published nothing here that you may see")
    return render(call, "namespace.html", namespace=namespace, found=found, base_url=call.base_url)
