"""Contents come in, are checked while they come, and are kept once, whoever sends them."""

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, bindparam, exists, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from muybridge_hub.access import KEEPER, Viewer, is_readable
from muybridge_hub.database import Database, blobs, clock, in_parts, repositories, repository_blobs
from muybridge_hub.errors import BadRequest, Damaged, NotFound
from muybridge_hub.storage import Storage, Writer


class Blob(NamedTuple):
    """Contents that are there, whole."""

    sha256: str
    size: int
    place: str


NUM_WRITERS = 8
BLOB_COLUMNS = (blobs.c.sha256, blobs.c.size, blobs.c.place)
FIND = select(*BLOB_COLUMNS).where(blobs.c.sha256 == bindparam("sha256"))


class Receiver:
    """Takes in contents that were announced by their hash and size; what is not as announced leaves no trace."""

    def __init__(self, contents: "Contents", sha256: str, size: int) -> None:
        self.contents, self.sha256, self.size = contents, sha256, size
        # A place of its own for each arrival: so nothing that removes an old one can hit a new one.
        self.place = f"blobs/{sha256[:2]}/{sha256[2:4]}/{sha256}-{secrets.token_hex(4)}"
        self.writer: Writer = contents.storage.writer(self.place, size)
        self.hash, self.received = hashlib.sha256(), 0

    def write(self, data: bytes) -> None:
        self.received += len(data)
        if self.received > self.size:
            raise BadRequest(f"more than the {self.size} bytes came that were announced for {self.sha256}")
        self.hash.update(data)
        self.writer.write(data)

    def keep(self) -> Blob:
        """Leaves the contents in the storage, unless they are other ones than announced."""
        if self.received != self.size:
            raise BadRequest(f"{self.received} bytes came of {self.size} that were announced for {self.sha256}")
        if self.hash.hexdigest() != self.sha256:
            raise BadRequest(
                f"the contents have the sha256 {self.hash.hexdigest()}, not {self.sha256}: send them again"
            )
        self.writer.commit()
        return Blob(self.sha256, self.size, self.place)

    def discard(self) -> None:
        self.writer.discard()


class Contents:
    """The blobs: found by their sha256, given only to repositories that were given them."""

    def __init__(self, database: Database, storage: Storage) -> None:
        self.database, self.storage = database, storage

    def receive(self, sha256: str, size: int) -> Receiver:
        return Receiver(self, sha256, size)

    def add(self, repository: int, pieces: Iterable[bytes], sha256: str, size: int) -> Blob:
        """Takes in contents for a repository."""
        return self.record(repository, [self.store(pieces, sha256, size)])[0]

    def add_all(self, repository: int, files: Sequence[bytes]) -> list[Blob]:
        """Takes in small files together: disks like to be asked for several at once, databases for one transaction."""
        hashes = [hash_bytes(data) for data in files]
        contents = dict(zip(hashes, files, strict=True))
        present = self.reuse(repository, contents)
        with ThreadPoolExecutor(NUM_WRITERS) as pool:
            missing = {sha256: data for sha256, data in contents.items() if sha256 not in present}
            stored = pool.map(lambda item: self.store([item[1]], item[0], len(item[1])), missing.items())
            arrived = self.record(repository, list(stored)) if missing else []
        present.update((blob.sha256, blob) for blob in arrived)
        return [present[sha256] for sha256 in hashes]

    def reuse(self, repository: int, hashes: Iterable[str]) -> dict[str, Blob]:
        """Those of the contents that are here, for whoever has them before their own eyes; from now on they stay."""
        with entering(), self.database.write() as connection:
            return self.claim(connection, KEEPER, repository, hashes)

    def store(self, pieces: Iterable[bytes], sha256: str, size: int) -> Blob:
        receiver = self.receive(sha256, size)
        try:
            for piece in pieces:
                receiver.write(piece)
            return receiver.keep()
        finally:
            receiver.discard()

    def record(self, repository: int, arrived: Sequence[Blob]) -> list[Blob]:
        """Enters contents that lie in the storage. Where the same ones are there already, those stay."""
        hashes = [blob.sha256 for blob in arrived]
        with entering(), self.database.write() as connection:
            for blob in sorted(arrived):
                touch(connection, blobs, blob._asdict())
            grant(connection, repository, hashes)
            kept = self.find_many(connection, hashes)
        for blob in arrived:
            if kept[blob.sha256].place != blob.place:
                kept[blob.sha256] = self.choose(kept[blob.sha256], blob)
        return [kept[sha256] for sha256 in hashes]

    def choose(self, known: Blob, arrived: Blob) -> Blob:
        """Of the same contents at two places: those that were there, unless they are lost."""
        try:
            self.verify_size(known)
        except OSError:
            with self.database.write() as connection:
                is_it = (blobs.c.sha256 == known.sha256) & (blobs.c.place == known.place)
                connection.execute(update(blobs).where(is_it).values(place=arrived.place))
            return arrived
        self.storage.delete(arrived.place)
        return known

    def verify_size(self, blob: Blob) -> None:
        """FileNotFoundError where the contents are not as long as they were."""
        last = b"".join(self.read(blob, max(0, blob.size - 1)))
        if len(last) != min(1, blob.size):
            raise FileNotFoundError(blob.place)

    def find(self, sha256: str, connection: Connection | None = None) -> Blob | None:
        with nullcontext(connection) if connection else self.database.read() as reading:
            row = reading.execute(FIND, {"sha256": sha256}).one_or_none()
        return Blob(*row) if row else None

    def find_own(self, repository: int, sha256: str) -> Blob | None:
        """Contents that a repository was given."""
        is_its = (repository_blobs.c.repository == repository) & (repository_blobs.c.sha256 == sha256)
        query = select(*BLOB_COLUMNS).join(repository_blobs, repository_blobs.c.sha256 == blobs.c.sha256).where(is_its)
        with self.database.read() as connection:
            row = connection.execute(query).one_or_none()
        return Blob(*row) if row else None

    def find_many(self, connection: Connection, hashes: Iterable[str]) -> dict[str, Blob]:
        found: dict[str, Blob] = {}
        for some in in_parts(hashes):
            query = select(*BLOB_COLUMNS).where(blobs.c.sha256.in_(some))
            found.update({row.sha256: Blob(*row) for row in connection.execute(query)})
        return found

    def claim(
        self, connection: Connection, viewer: Viewer, repository: int, hashes: Iterable[str], *, is_commit: bool = False
    ) -> dict[str, Blob]:
        """Those of the contents that the repository has, or the viewer can read elsewhere; now it has them all."""
        readable = exists().where(
            repository_blobs.c.sha256 == blobs.c.sha256,
            repository_blobs.c.repository == repositories.c.id,
            or_(repositories.c.id == repository, is_readable(viewer)),
        )
        found: dict[str, Blob] = {}
        for some in in_parts(hashes):
            is_theirs = blobs.c.sha256.in_(some) & readable
            # In order, so that two who need the same ones do not wait for each other.
            in_order = select(*BLOB_COLUMNS).where(is_theirs).order_by(blobs.c.sha256).with_for_update(of=blobs)
            theirs = {row.sha256: Blob(*row) for row in connection.execute(in_order)}
            touching = update(blobs).where(blobs.c.sha256.in_(theirs)).values(touched_at=clock(connection))
            connection.execute(touching)
            found.update(theirs)
        grant(connection, repository, found, is_commit=is_commit)
        return found

    def read(self, blob: Blob, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        return self.storage.read(blob.place, start, blob.size if end is None else end)

    def read_bytes(self, blob: Blob) -> bytes:
        return b"".join(self.read(blob))

    def verify(self, blob: Blob) -> None:
        """Reads contents again; Damaged where they are not what their name says."""
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


class Parts:
    """A large file that comes in pieces, each of which can be sent again."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents

    def writer(self, upload: str, number: int) -> Writer:
        return self.contents.storage.writer(f"parts/{upload}/{number:05d}")

    def join(self, repository: int, upload: str, num_parts: int, part_size: int, sha256: str, size: int) -> Blob:
        """Makes one of the parts, in their order. Asked for again, it is there already."""
        known = self.contents.find_own(repository, sha256)
        if known and known.size == size:
            return known
        blob = self.contents.add(repository, self.read(upload, num_parts, part_size, size), sha256, size)
        for number in range(1, num_parts + 1):
            self.contents.storage.delete(f"parts/{upload}/{number:05d}")
        return blob

    def read(self, upload: str, num_parts: int, part_size: int, size: int) -> Iterator[bytes]:
        for number in range(1, num_parts + 1):
            length = min(part_size, size - (number - 1) * part_size)
            try:
                yield from self.contents.storage.read(f"parts/{upload}/{number:05d}", 0, length)
            except FileNotFoundError as error:
                raise BadRequest(f"part {number} of {num_parts} did not arrive; send it again") from error


@contextmanager
def entering() -> Iterator[None]:
    """Around what enters contents for a repository, which may be gone by then."""
    try:
        yield
    except IntegrityError as error:
        raise NotFound("the repository that this was sent to was deleted meanwhile") from error


def grant(connection: Connection, repository: int, hashes: Iterable[str], *, is_commit: bool = False) -> None:
    """Notes that a repository was given contents: for a commit that is still to come, or by one."""
    for sha256 in sorted(set(hashes)):
        adding = insert_into(connection, repository_blobs).values(repository=repository, sha256=sha256)
        noted = {"awaited_at": None if is_commit else clock(connection)}
        conflict = {"index_elements": ("repository", "sha256"), "set_": noted}
        connection.execute(adding.values(**noted).on_conflict_do_update(**conflict))


def touch(connection: Connection, table: Table, row: dict[str, object]) -> None:
    """Enters a row; where it is there already, notes only that it is needed again."""
    touched, (key,) = {"touched_at": clock(connection)}, table.primary_key.columns.keys()
    adding = insert_into(connection, table).values(row | touched)
    connection.execute(adding.on_conflict_do_update(index_elements=(key,), set_=touched))


def insert_into(connection: Connection, table: Table) -> Any:
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


def hash_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
