"""Lists of repositories: filtered, sorted, and page after page."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, and_, func, or_, select

from muybridge_hub.access import Viewer, is_readable
from muybridge_hub.database import refs, repositories, repository_tags
from muybridge_hub.errors import BadRequest
from muybridge_hub.names import Kind
from muybridge_hub.repositories import IS_HEAD

MAX_PAGE, MAX_WORDS = 1000, 20

# By the Hub's words. Nobody likes anything here, and what is new is what people come for.
SORTS = {
    "lastModified": repositories.c.updated_at,
    "trendingScore": repositories.c.updated_at,
    "createdAt": repositories.c.created_at,
    "downloads": repositories.c.downloads,
    "likes": repositories.c.downloads,
}

# What the page counts, and lets one choose from.
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
    """What is wanted; every condition must hold."""

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
    """A page of repositories, and where the next page begins, if there is one."""
    if query.sort not in SORTS:
        raise BadRequest(f"sort is {query.sort!r}; it must be one of {', '.join(SORTS)}")
    if max(len((query.search or "").split()), len(query.tags)) > MAX_WORDS:
        raise BadRequest(f"a search has up to {MAX_WORDS} words and as many tags")
    limit, column = max(1, min(query.limit, MAX_PAGE)), SORTS[query.sort]
    statement = with_head().where(conditions(viewer, query))
    if query.cursor:
        after, last = parse_cursor(query.cursor, is_time=query.sort not in ("downloads", "likes"))
        statement = statement.where(or_(column < after, and_(column == after, repositories.c.id < last)))
    ordered = statement.order_by(column.desc(), repositories.c.id.desc()).limit(limit + 1)
    rows = connection.execute(ordered).all()
    if len(rows) <= limit:
        return rows, None
    last_row = rows[limit - 1]
    return rows[:limit], make_cursor(last_row._mapping[column.key], last_row.id)


def with_head() -> Select[Any]:
    """Repositories with the newest commit of `main`."""
    return select(*COLUMNS).join(refs, IS_HEAD)


def conditions(viewer: Viewer, query: Query) -> Any:
    wanted = [repositories.c.kind == query.kind, is_readable(viewer)]
    if query.search:
        wanted += [repositories.c.search_text.contains(word.lower(), autoescape=True) for word in query.search.split()]
    if query.author:
        wanted.append(repositories.c.namespace == query.author)
    exact = {"pipeline_tag": query.pipeline_tag, "architecture": query.architecture, "licence": query.licence}
    wanted += [repositories.c[name] == value for name, value in exact.items() if value]
    for tag in query.tags:
        has_tag = select(repository_tags.c.repository).where(repository_tags.c.tag == tag)
        wanted.append(repositories.c.id.in_(has_tag))
    return and_(*wanted)


def count_repositories(connection: Connection, viewer: Viewer, query: Query) -> int:
    counting = select(func.count()).select_from(repositories).where(conditions(viewer, query))
    return connection.scalar(counting) or 0


def count_all(connection: Connection, table: Table) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0


def count_facets(connection: Connection, viewer: Viewer, query: Query) -> dict[str, list[tuple[str, int]]]:
    """For each facet its most frequent values among what the query finds, and how often they are."""
    is_wanted, facets = conditions(viewer, query), {}
    for name, column in FACETS.items():
        counting = select(column, func.count()).where(is_wanted, column.is_not(None)).group_by(column)
        facets[name] = [
            (row[0], row[1]) for row in connection.execute(counting.order_by(func.count().desc()).limit(20))
        ]
    tag = repository_tags.c.tag
    counting = select(tag, func.count()).join(repositories, repositories.c.id == repository_tags.c.repository)
    counting = counting.where(is_wanted, tag.startswith("dataset:")).group_by(tag).order_by(func.count().desc())
    facets["data set"] = [(row[0].removeprefix("dataset:"), row[1]) for row in connection.execute(counting.limit(20))]
    return facets


def make_cursor(value: Any, last: int) -> str:
    plain = value.isoformat() if isinstance(value, datetime) else value
    return base64.urlsafe_b64encode(json.dumps([plain, last]).encode()).decode()


def parse_cursor(text: str, *, is_time: bool) -> tuple[Any, int]:
    try:
        value, last = json.loads(base64.urlsafe_b64decode(text))
        after = datetime.fromisoformat(value).astimezone(UTC) if is_time else int(value)
        if not isinstance(last, int) or max(abs(last), abs(after) if isinstance(after, int) else 0) >= 2**31:
            raise ValueError("no number that could be meant")
        return after, last
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRequest(
            f"the cursor is {text[:100]!r}; take the address of the next page from the Link header"
        ) from error
