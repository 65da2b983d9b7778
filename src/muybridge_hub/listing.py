"""Lists of repositories: filtered, sorted, in pages."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, and_, func, or_, select

from muybridge_hub.access import Viewer, build_read_filter
from muybridge_hub.database import refs, repositories, repository_tags
from muybridge_hub.errors import BadRequest
from muybridge_hub.names import Kind
from muybridge_hub.repositories import IS_MAIN_BRANCH

MAX_PAGE_SIZE, MAX_WORDS = 1000, 20

# The orders of the Hugging Face Hub. This hub knows no likes and no trends, so these sort by downloads and by time.
SORTS = {
    "lastModified": repositories.c.updated_at,
    "trendingScore": repositories.c.updated_at,
    "createdAt": repositories.c.created_at,
    "downloads": repositories.c.downloads,
    "likes": repositories.c.downloads,
}

# The filters that a page offers, each with its most frequent values.
FACETS = {
    "task": repositories.c.pipeline_tag,
    "architecture": repositories.c.architecture,
    "licence": repositories.c.licence,
}

COLUMNS = (
    repositories.c.id,
    repositories.c.kind,
    repositories.c.namespace,
    repositories.c.name,
    repositories.c.private,
    repositories.c.created_at,
    repositories.c.updated_at,
    repositories.c.downloads,
    repositories.c.pipeline_tag,
    repositories.c.library,
    repositories.c.architecture,
    repositories.c.licence,
    repositories.c.facts,
    refs.c.commit.label("head"),
)


@dataclass(frozen=True)
class Query:
    """Which repositories to list, and in which order. A repository must meet every condition."""

    kind: Kind = "model"
    search: str | None = None
    author: str | None = None
    tags: tuple[str, ...] = ()
    pipeline_tag: str | None = None
    architecture: str | None = None
    licence: str | None = None
    sort: str = "trendingScore"
    limit: int = 100
    cursor: str | None = None


def list_repositories(connection: Connection, viewer: Viewer, query: Query) -> tuple[Sequence[Row[Any]], str | None]:
    """Returns a page of repositories, and a cursor for the next page, or None if this is the last."""
    if query.sort not in SORTS:
        raise BadRequest(f"sort is {query.sort!r}; it must be one of {', '.join(SORTS)}")
    if max(len((query.search or "").split()), len(query.tags)) > MAX_WORDS:
        raise BadRequest(f"a search has up to {MAX_WORDS} words and as many tags")
    limit, column = max(1, min(query.limit, MAX_PAGE_SIZE)), SORTS[query.sort]
    statement = select_repositories().where(build_filter(viewer, query))
    if query.cursor:
        value, id_ = parse_cursor(query.cursor, is_time=query.sort not in ("downloads", "likes"))
        statement = statement.where(or_(column < value, and_(column == value, repositories.c.id < id_)))
    ordered = statement.order_by(column.desc(), repositories.c.id.desc()).limit(limit + 1)
    rows = connection.execute(ordered).all()
    if len(rows) <= limit:
        return rows, None
    last_row = rows[limit - 1]
    return rows[:limit], make_cursor(last_row._mapping[column.key], last_row.id)


def select_repositories() -> Select[Any]:
    """A query of all repositories, each with the newest commit of `main`."""
    return select(*COLUMNS).join(refs, IS_MAIN_BRANCH)


def build_filter(viewer: Viewer, query: Query) -> Any:
    """An SQL condition: the viewer may read the repository, and the query matches it."""
    conditions = [repositories.c.kind == query.kind, build_read_filter(viewer)]
    if query.search:
        conditions += [
            repositories.c.search_text.contains(word.lower(), autoescape=True) for word in query.search.split()
        ]
    if query.author:
        conditions.append(repositories.c.namespace == query.author)
    exact = {"pipeline_tag": query.pipeline_tag, "architecture": query.architecture, "licence": query.licence}
    conditions += [repositories.c[name] == value for name, value in exact.items() if value]
    for tag in query.tags:
        has_tag = select(repository_tags.c.repository).where(repository_tags.c.tag == tag)
        conditions.append(repositories.c.id.in_(has_tag))
    return and_(*conditions)


def count_repositories(connection: Connection, viewer: Viewer, query: Query) -> int:
    count_query = select(func.count()).select_from(repositories).where(build_filter(viewer, query))
    return connection.scalar(count_query) or 0


def count_all(connection: Connection, table: Table) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0


def count_facets(connection: Connection, viewer: Viewer, query: Query) -> dict[str, list[tuple[str, int]]]:
    """For each facet, the most frequent values among the repositories that the query matches, with their counts."""
    is_matched, facets = build_filter(viewer, query), {}
    for name, column in FACETS.items():
        counts = select(column, func.count()).where(is_matched, column.is_not(None)).group_by(column)
        facets[name] = [(row[0], row[1]) for row in connection.execute(counts.order_by(func.count().desc()).limit(20))]
    tag = repository_tags.c.tag
    counts = select(tag, func.count()).join(repositories, repositories.c.id == repository_tags.c.repository)
    counts = counts.where(is_matched, tag.startswith("dataset:")).group_by(tag).order_by(func.count().desc())
    facets["data set"] = [(row[0].removeprefix("dataset:"), row[1]) for row in connection.execute(counts.limit(20))]
    return facets


def make_cursor(value: Any, last_id: int) -> str:
    """Encodes the end of a page: the value by which the list is sorted, and the id of the last repository."""
    plain = value.isoformat() if isinstance(value, datetime) else value
    return base64.urlsafe_b64encode(json.dumps([plain, last_id]).encode()).decode()


def parse_cursor(text: str, *, is_time: bool) -> tuple[Any, int]:
    """Decodes a cursor that `make_cursor` made."""
    try:
        value, last_id = json.loads(base64.urlsafe_b64decode(text))
        last_value = datetime.fromisoformat(value).astimezone(UTC) if is_time else int(value)
        largest = max(abs(last_id), abs(last_value) if isinstance(last_value, int) else 0)
        if not isinstance(last_id, int) or largest >= 2**31:
            raise ValueError("a number in it is out of range")
        return last_value, last_id
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRequest(f"the cursor is {text[:100]!r}; use the URL of the next page from the Link header") from error
