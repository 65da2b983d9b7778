"""The database: everything but the content of files. Defines the tables and their transactions."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    create_engine,
    event,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError

SCHEMA_VERSION = "1"
MAX_VALUES = 500  # in one statement
TABLES_LOCK_ID = 0x6D757962  # an arbitrary number, the same for all servers


class UtcDateTime(TypeDecorator[datetime]):
    """A time in UTC, even if the database stores no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _: Any) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, _: Any) -> datetime | None:
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


metadata = MetaData()

# The secret for signatures, shared by all servers of one database, and the version of these tables.
properties = Table("properties", metadata, Column("name", String(50), primary_key=True), Column("value", Text))

tokens = Table(
    "tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String(64), unique=True, nullable=False),  # the token itself is shown once and kept nowhere
    Column("user", String(96), nullable=False),
    Column("can_write", Boolean, nullable=False),
    Column("namespaces", JSON, nullable=False),  # in addition to the user's own; "*" means all
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    sqlite_autoincrement=True,  # ids are never reused, because signed URLs contain them
)

repositories = Table(
    "repositories",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("namespace", String(96), nullable=False),
    Column("name", String(96), nullable=False),
    Column("search_text", String(200), nullable=False),  # namespace/name in lower case
    Column("private", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("downloads", Integer, nullable=False, default=0),
    # Read from the files of the newest commit of `main`. `described` is the commit that the values were read from.
    Column("described", String(40)),
    Column("pipeline_tag", String(100)),
    Column("library", String(100)),
    Column("architecture", String(100)),
    Column("licence", String(100)),
    Column("facts", JSON, nullable=False),
    UniqueConstraint("kind", "namespace", "name"),
    Index("by_update", "kind", "updated_at", "id"),
    Index("by_creation", "kind", "created_at", "id"),
    Index("by_downloads", "kind", "downloads", "id"),
    # Covers the counting of filter values, so that it need not read the rows, which are large: they hold cards.
    Index("by_facets", "kind", "private", "namespace", "pipeline_tag", "architecture", "licence", "search_text"),
    sqlite_autoincrement=True,  # ids are never reused, because signed URLs contain them
)

repository_tags = Table(
    "repository_tags",
    metadata,
    Column("repository", ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", String(250), primary_key=True),
    Index("by_tag", "tag", "repository"),
)

refs = Table(
    "refs",
    metadata,
    Column("repository", ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(10), primary_key=True),  # branch or tag
    Column("name", String(250), primary_key=True),
    Column("commit", String(40), nullable=False),
)

commits = Table(
    "commits",
    metadata,
    Column("repository", ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True),
    Column("oid", String(40), primary_key=True),
    Column("parent", String(40)),
    Column("tree", String(64), nullable=False),
    Column("title", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("author", String(96), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

# Folders, by the sha256 of their entries: a commit stores only the folders that it changes.
trees = Table(
    "trees",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("entries", Text, nullable=False),
    Column("touched_at", UtcDateTime, nullable=False),
)

# The content of files, complete and verified in the storage. `place` is its name in the storage.
blobs = Table(
    "blobs",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("place", String(100), nullable=False),
    Column("touched_at", UtcDateTime, nullable=False, index=True),
)

# Which repository owns which blobs. Without this, anyone who knows a hash could read the blob.
repository_blobs = Table(
    "repository_blobs",
    metadata,
    Column("repository", ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("awaited_at", UtcDateTime),  # when it was uploaded, if no commit has used it yet
    Index("by_blob", "sha256", "repository"),
)


def now() -> datetime:
    return datetime.now(UTC)


def split_into_batches(values: Iterable[str]) -> Iterator[list[str]]:
    """Yields the distinct values in sorted batches, each small enough for one SQL statement."""
    ordered = sorted(set(values))
    for start in range(0, len(ordered), MAX_VALUES):
        yield ordered[start : start + MAX_VALUES]


def get_database_time(connection: Connection) -> Any:
    """The time for comparisons. With several machines it is the clock of the database, because their clocks differ."""
    return now() if connection.dialect.name == "sqlite" else func.clock_timestamp()


class DatabaseError(ValueError):
    """A database that cannot be used; the message says why and what to do."""


class Database:
    """Opens transactions. One for reading sees a single state; one for writing happens completely or not at all."""

    def __init__(self, url: str) -> None:
        try:
            self.engine = make_engine(url)
            self.is_sqlite = self.engine.dialect.name == "sqlite"
            # SQLite admits one writer and makes the others poll. Within this process, they wait for this lock instead.
            self._writing = threading.Lock()
            self.create_tables()
        except (ArgumentError, DBAPIError, ModuleNotFoundError) as error:
            reason = getattr(error, "orig", None) or error
            raise DatabaseError(f"the database {hide_password(url)} cannot be opened: {reason}") from error
        self.check_version()

    def create_tables(self) -> None:
        """Creates missing tables. Servers that start at the same time wait for each other."""
        with self.write() as connection:
            if not self.is_sqlite:
                connection.execute(select(func.pg_advisory_xact_lock(TABLES_LOCK_ID)))
            metadata.create_all(connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Opens a transaction for reading."""
        with self.engine.connect() as connection:
            if not self.is_sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Opens a transaction for writing. An exception undoes all of it."""
        if not self.is_sqlite:
            with self.engine.begin() as connection:
                yield connection
            return
        with self._writing, self.engine.connect() as connection:
            connection.execution_options(is_writing=True)
            with connection.begin():
                yield connection

    def get_quiet_moment(self) -> datetime:
        """Waits until no transaction writes, and returns the time of that moment.

        Transactions that begin to read afterwards see all earlier writes. All later writes have later times.
        """
        with self.write() as connection:
            if self.is_sqlite:
                return now()
            connection.execute(text("LOCK TABLE blobs, trees IN EXCLUSIVE MODE"))
            moment: datetime = connection.scalars(select(func.clock_timestamp())).one()
            return moment

    def check_version(self) -> None:
        version = self.get_property("version", SCHEMA_VERSION)
        if version != SCHEMA_VERSION:
            raise DatabaseError(
                f"the database has tables of version {version}; this server knows version {SCHEMA_VERSION}"
            )

    def get_property(self, name: str, default: str) -> str:
        """Returns the value of a property. If it has none, stores the default first."""
        query = select(properties.c.value).where(properties.c.name == name)
        with self.read() as connection:
            value = connection.scalar(query)
        if value is not None:
            return value
        try:
            with self.write() as connection:
                connection.execute(insert(properties).values(name=name, value=default))
        except IntegrityError:
            pass  # another server stored it first
        with self.read() as connection:
            return str(connection.scalar(query))

    def close(self) -> None:
        self.engine.dispose()


def make_engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=20, max_overflow=80, pool_pre_ping=True)
    engine = create_engine(
        url, pool_size=20, max_overflow=100, connect_args={"timeout": 30, "check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin in `begin` below, and not when sqlite3 decides
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        is_writing = connection.get_execution_options().get("is_writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")

    return engine


def hide_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    account, at, place = rest.rpartition("@")
    return f"{scheme}{separator}{account.partition(':')[0]}{at}{place}"
