"""Stores the content of files as blobs: verified while it is received, and kept once, under its sha256."""

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, bindparam, exists, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from muybridge_hub.access import SYSTEM, Viewer, build_read_filter
from muybridge_hub.database import (
    Database,
    blobs,
    get_database_time,
    repositories,
    repository_blobs,
    split_into_batches,
)
from muybridge_hub.errors import BadRequest, Damaged, NotFound
from muybridge_hub.storage import Storage, Writer


class Blob(NamedTuple):
    """The content of a file, complete in the storage. `place` is its name there."""

    sha256: str
    size: int
    place: str


NUM_WRITE_THREADS = 8
BLOB_COLUMNS = (blobs.c.sha256, blobs.c.size, blobs.c.place)
FIND_BLOB = select(*BLOB_COLUMNS).where(blobs.c.sha256 == bindparam("sha256"))


class BlobReceiver:
    """Receives a blob whose hash and size were announced. If it is different, nothing of it is kept."""

    def __init__(self, storage: Storage, sha256: str, size: int) -> None:
        self.sha256, self.size = sha256, size
        # Each received copy gets its own place, so that deleting an old copy can never delete a new one.
        self.place = f"blobs/{sha256[:2]}/{sha256[2:4]}/{sha256}-{secrets.token_hex(4)}"
        self.writer: Writer = storage.open_writer(self.place, size)
        self.hash, self.received = hashlib.sha256(), 0

    def write(self, data: bytes) -> None:
        self.received += len(data)
        if self.received > self.size:
            raise BadRequest(f"{self.sha256} was announced with {self.size} bytes, but more arrived")
        self.hash.update(data)
        self.writer.write(data)

    def keep(self) -> Blob:
        """Verifies size and hash, and completes the blob in the storage."""
        if self.received != self.size:
            raise BadRequest(f"{self.sha256} was announced with {self.size} bytes, but {self.received} arrived")
        if self.hash.hexdigest() != self.sha256:
            raise BadRequest(f"the content has the sha256 {self.hash.hexdigest()}, not {self.sha256}: upload it again")
        self.writer.commit()
        return Blob(self.sha256, self.size, self.place)

    def discard(self) -> None:
        self.writer.discard()


class BlobStore:
    """Stores and finds blobs by their sha256, and notes which repositories own them.

    A blob is stored once for all repositories, but a repository can use it only if it was granted to it: by an upload
    of the whole content, or because the uploader can read it in another repository. So to know a hash is not enough.
    """

    def __init__(self, database: Database, storage: Storage) -> None:
        self.database, self.storage = database, storage

    def receive(self, sha256: str, size: int) -> BlobReceiver:
        return BlobReceiver(self.storage, sha256, size)

    def add(self, repository_id: int, pieces: Iterable[bytes], sha256: str, size: int) -> Blob:
        """Stores a blob, and grants it to a repository."""
        return self.record(repository_id, [self.store(pieces, sha256, size)])[0]

    def add_all(self, repository_id: int, files: Sequence[bytes]) -> list[Blob]:
        """Stores many small files, and grants them to a repository.

        Together this is faster: several threads write to the disk, and the database needs one transaction.
        """
        hashes = [hash_bytes(data) for data in files]
        data_by_hash = dict(zip(hashes, files, strict=True))
        present = self.reuse(repository_id, data_by_hash)
        with ThreadPoolExecutor(NUM_WRITE_THREADS) as pool:
            missing = {sha256: data for sha256, data in data_by_hash.items() if sha256 not in present}
            stored = pool.map(lambda item: self.store([item[1]], item[0], len(item[1])), missing.items())
            arrived = self.record(repository_id, list(stored)) if missing else []
        present.update((blob.sha256, blob) for blob in arrived)
        return [present[sha256] for sha256 in hashes]

    def reuse(self, repository_id: int, hashes: Iterable[str]) -> dict[str, Blob]:
        """Finds those blobs that are already here, and grants them to a repository.

        Only for a caller that has the content itself and not only its hash: rights to read it are not checked.
        """
        with convert_missing_repository(), self.database.write() as connection:
            return self.claim(connection, SYSTEM, repository_id, hashes)

    def store(self, pieces: Iterable[bytes], sha256: str, size: int) -> Blob:
        """Writes a blob to the storage. It becomes known only with `record`."""
        receiver = self.receive(sha256, size)
        try:
            for piece in pieces:
                receiver.write(piece)
            return receiver.keep()
        finally:
            receiver.discard()

    def record(self, repository_id: int, arrived: Sequence[Blob]) -> list[Blob]:
        """Enters stored blobs into the database, and grants them to a repository.

        Of a blob that was known already, the old copy is kept and the new one deleted.
        """
        hashes = [blob.sha256 for blob in arrived]
        with convert_missing_repository(), self.database.write() as connection:
            for blob in sorted(arrived):
                touch(connection, blobs, blob._asdict())
            grant(connection, repository_id, hashes)
            kept = self.find_many(connection, hashes)
        for blob in arrived:
            if kept[blob.sha256].place != blob.place:
                kept[blob.sha256] = self.resolve_duplicate(kept[blob.sha256], blob)
        return [kept[sha256] for sha256 in hashes]

    def resolve_duplicate(self, known: Blob, arrived: Blob) -> Blob:
        """Keeps one of two copies of a blob: the known one, or if it is lost, the one that has arrived."""
        try:
            self.verify_size(known)
        except OSError:
            with self.database.write() as connection:
                is_known = (blobs.c.sha256 == known.sha256) & (blobs.c.place == known.place)
                connection.execute(update(blobs).where(is_known).values(place=arrived.place))
            return arrived
        self.storage.delete(arrived.place)
        return known

    def verify_size(self, blob: Blob) -> None:
        """Raises FileNotFoundError if the blob is missing from the storage or shorter than it should be."""
        last = b"".join(self.read(blob, max(0, blob.size - 1)))
        if len(last) != min(1, blob.size):
            raise FileNotFoundError(blob.place)

    def find(self, sha256: str, connection: Connection | None = None) -> Blob | None:
        """Finds a blob, whoever owns it."""
        with nullcontext(connection) if connection else self.database.read() as reading:
            row = reading.execute(FIND_BLOB, {"sha256": sha256}).one_or_none()
        return Blob(*row) if row else None

    def find_granted(self, repository_id: int, sha256: str) -> Blob | None:
        """Finds a blob if it was granted to the repository."""
        is_granted = (repository_blobs.c.repository == repository_id) & (repository_blobs.c.sha256 == sha256)
        query = (
            select(*BLOB_COLUMNS).join(repository_blobs, repository_blobs.c.sha256 == blobs.c.sha256).where(is_granted)
        )
        with self.database.read() as connection:
            row = connection.execute(query).one_or_none()
        return Blob(*row) if row else None

    def find_many(self, connection: Connection, hashes: Iterable[str]) -> dict[str, Blob]:
        found: dict[str, Blob] = {}
        for batch in split_into_batches(hashes):
            query = select(*BLOB_COLUMNS).where(blobs.c.sha256.in_(batch))
            found.update({row.sha256: Blob(*row) for row in connection.execute(query)})
        return found

    def claim(
        self,
        connection: Connection,
        viewer: Viewer,
        repository_id: int,
        hashes: Iterable[str],
        *,
        is_commit: bool = False,
    ) -> dict[str, Blob]:
        """Finds those blobs that the repository owns or the viewer can read elsewhere. Grants them to the repository.

        `is_commit` says that a commit uses them. Otherwise a commit is expected to follow: garbage collection waits.
        """
        is_readable = exists().where(
            repository_blobs.c.sha256 == blobs.c.sha256,
            repository_blobs.c.repository == repositories.c.id,
            or_(repositories.c.id == repository_id, build_read_filter(viewer)),
        )
        found: dict[str, Blob] = {}
        for batch in split_into_batches(hashes):
            is_claimable = blobs.c.sha256.in_(batch) & is_readable
            # Locked in a fixed order, so that two transactions that need the same blobs do not deadlock.
            in_order = select(*BLOB_COLUMNS).where(is_claimable).order_by(blobs.c.sha256).with_for_update(of=blobs)
            claimed = {row.sha256: Blob(*row) for row in connection.execute(in_order)}
            touched = {"touched_at": get_database_time(connection)}
            connection.execute(update(blobs).where(blobs.c.sha256.in_(claimed)).values(touched))
            found.update(claimed)
        grant(connection, repository_id, found, is_commit=is_commit)
        return found

    def read(self, blob: Blob, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        return self.storage.read(blob.place, start, blob.size if end is None else end)

    def read_bytes(self, blob: Blob) -> bytes:
        return b"".join(self.read(blob))

    def verify(self, blob: Blob) -> None:
        """Reads the whole blob; raises Damaged if its content does not have the size and hash that it should have."""
        digest, size = hashlib.sha256(), 0
        try:
            for piece in self.read(blob):
                digest.update(piece)
                size += len(piece)
        except OSError as error:
            raise Damaged(f"{blob.sha256} is lost: {blob.place} cannot be read: {error}") from error
        if size != blob.size or digest.hexdigest() != blob.sha256:
            raise Damaged(
                f"{blob.sha256} is damaged: {blob.place} holds {size} of {blob.size} bytes, with another sha256"
            )


class MultipartUploads:
    """Stores the parts of large files, each uploaded on its own, and joins them into blobs."""

    def __init__(self, blob_store: BlobStore) -> None:
        self.blob_store = blob_store

    def open_writer(self, upload: str, number: int) -> Writer:
        return self.blob_store.storage.open_writer(f"parts/{upload}/{number:05d}")

    def join(self, repository_id: int, upload: str, num_parts: int, part_size: int, sha256: str, size: int) -> Blob:
        """Joins the parts into one blob. A repeated call returns the blob that the first call made."""
        known = self.blob_store.find_granted(repository_id, sha256)
        if known and known.size == size:
            return known
        blob = self.blob_store.add(repository_id, self.read(upload, num_parts, part_size, size), sha256, size)
        for number in range(1, num_parts + 1):
            self.blob_store.storage.delete(f"parts/{upload}/{number:05d}")
        return blob

    def read(self, upload: str, num_parts: int, part_size: int, size: int) -> Iterator[bytes]:
        for number in range(1, num_parts + 1):
            length = min(part_size, size - (number - 1) * part_size)
            try:
                yield from self.blob_store.storage.read(f"parts/{upload}/{number:05d}", 0, length)
            except FileNotFoundError as error:
                raise BadRequest(f"part {number} of {num_parts} is missing; upload it again") from error


@contextmanager
def convert_missing_repository() -> Iterator[None]:
    """Raises NotFound where a blob is granted to a repository that was deleted meanwhile."""
    try:
        yield
    except IntegrityError as error:
        raise NotFound("the repository of this upload was deleted meanwhile") from error


def grant(connection: Connection, repository_id: int, hashes: Iterable[str], *, is_commit: bool = False) -> None:
    """Notes that a repository owns blobs: for a commit that is still to follow, or by a commit."""
    for sha256 in sorted(set(hashes)):
        adding = make_insert(connection, repository_blobs).values(repository=repository_id, sha256=sha256)
        awaited = {"awaited_at": None if is_commit else get_database_time(connection)}
        conflict = {"index_elements": ("repository", "sha256"), "set_": awaited}
        connection.execute(adding.values(**awaited).on_conflict_do_update(**conflict))


def touch(connection: Connection, table: Table, row: dict[str, object]) -> None:
    """Inserts a row. If it exists already, only updates `touched_at`: garbage collection spares what was touched."""
    touched, (key,) = {"touched_at": get_database_time(connection)}, table.primary_key.columns.keys()
    adding = make_insert(connection, table).values(row | touched)
    connection.execute(adding.on_conflict_do_update(index_elements=(key,), set_=touched))


def make_insert(connection: Connection, table: Table) -> Any:
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


def hash_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
