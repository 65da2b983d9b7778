"""The hub without its web server: what commands and requests work on."""

import threading
from collections import Counter

from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from muybridge_hub.access import Tokens
from muybridge_hub.contents import Contents, Parts
from muybridge_hub.database import Database, repositories
from muybridge_hub.repositories import Repositories
from muybridge_hub.settings import Settings
from muybridge_hub.storage import StorageError, open_storage


class Hub:
    def __init__(self, settings: Settings) -> None:
        try:
            settings.root.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds the key of signatures
        except OSError as error:
            raise StorageError(f"the folder {settings.root} cannot be used: {error}") from error
        self.settings = settings
        self.database = Database(settings.database_url)
        self.storage = open_storage(settings.storage_url)
        self.tokens = Tokens(self.database)
        self.contents = Contents(self.database, self.storage)
        self.parts = Parts(self.contents)
        self.repositories = Repositories(self.database, self.contents)
        self.downloads = Downloads(self.database)

    def close(self) -> None:
        self.database.close()


class Downloads:
    """Counts downloads: in memory, and now and then in the database, which has more important things to write."""

    def __init__(self, database: Database) -> None:
        self.database, self.lock = database, threading.Lock()
        self.counts: Counter[int] = Counter()

    def count(self, repository: int) -> None:
        with self.lock:
            self.counts[repository] += 1

    def flush(self) -> None:
        with self.lock:
            counts, self.counts = self.counts, Counter()
        if not counts:
            return
        try:
            self.write(counts)
        except SQLAlchemyError:
            with self.lock:
                self.counts.update(counts)  # for another time
            raise

    def write(self, counts: Counter[int]) -> None:
        with self.database.write() as connection:
            for repository, count in sorted(counts.items()):
                increased = {"downloads": repositories.c.downloads + count}
                connection.execute(update(repositories).where(repositories.c.id == repository).values(increased))
