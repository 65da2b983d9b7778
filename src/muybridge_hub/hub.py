"""The hub without a web server. Commands and requests work on it."""

import threading
from collections import Counter

from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from muybridge_hub.access import TokenStore
from muybridge_hub.blob_store import BlobStore, MultipartUploads
from muybridge_hub.database import Database, repositories
from muybridge_hub.repositories import RepositoryStore
from muybridge_hub.settings import Settings
from muybridge_hub.storage import StorageError, open_storage


class Hub:
    """Opens the database and the storage that the settings name, and holds everything that works on them."""

    def __init__(self, settings: Settings) -> None:
        try:
            # Private, because the database holds the secret for signatures.
            settings.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"the folder {settings.root} cannot be used: {error}") from error
        self.settings = settings
        self.database = Database(settings.database_url)
        self.storage = open_storage(settings.storage_url)
        self.tokens = TokenStore(self.database)
        self.blob_store = BlobStore(self.database, self.storage)
        self.multipart_uploads = MultipartUploads(self.blob_store)
        self.repositories = RepositoryStore(self.database, self.blob_store)
        self.download_counter = DownloadCounter(self.database)

    def close(self) -> None:
        self.database.close()


class DownloadCounter:
    """Counts downloads in memory, and adds the counts to the database from time to time, to save transactions."""

    def __init__(self, database: Database) -> None:
        self.database, self.lock = database, threading.Lock()
        self.counts: Counter[int] = Counter()

    def count(self, repository_id: int) -> None:
        with self.lock:
            self.counts[repository_id] += 1

    def flush(self) -> None:
        with self.lock:
            counts, self.counts = self.counts, Counter()
        if not counts:
            return
        try:
            self.write(counts)
        except SQLAlchemyError:
            with self.lock:
                self.counts.update(counts)  # the next call writes them
            raise

    def write(self, counts: Counter[int]) -> None:
        with self.database.write() as connection:
            for repository_id, count in sorted(counts.items()):
                increased = {"downloads": repositories.c.downloads + count}
                connection.execute(update(repositories).where(repositories.c.id == repository_id).values(increased))
