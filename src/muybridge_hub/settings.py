"""How a server is set up: one flat list of settings, all with defaults but the folder."""

from dataclasses import dataclass
from pathlib import Path

KB, MB, GB = 1 << 10, 1 << 20, 1 << 30


@dataclass(frozen=True)
class Settings:
    root: Path
    database: str | None = None  # an address as SQLAlchemy takes; by default a file of SQLite in the root
    storage: str | None = None  # a folder or an address as fsspec takes; by default a folder in the root
    public_url: str | None = None  # what clients call this server, where they cannot be asked
    inference: str | None = None  # a command that predicts; see `inference.py`

    max_file_size: int = 500 * GB
    max_inline_size: int = 16 * MB  # of a file within a commit
    max_json_size: int = 10 * MB
    max_clip_size: int = 100 * MB  # of a clip to try a model on

    large_from: int = 1 * MB  # a file of this size comes on its own, not within a commit
    multipart_from: int = 2 * GB  # a file of this size comes in parts
    part_size: int = 256 * MB
    upload_hours: int = 24  # how long an address to upload to can be used

    idle_seconds: float = 60.0  # a client that neither sends nor takes anything for so long is let go
    least_bytes_per_second: int = 1 * KB  # and so is one that sends so slowly
    header_seconds: float = 20.0  # until the head of a request must have come

    clip_seconds: float = 300.0  # until a clip to try a model on must have come
    prediction_seconds: float = 60.0
    prediction_start_seconds: float = 120.0  # more for the first one, which starts the command
    max_waiting_predictions: int = 8
    max_tried_model_size: int = 10 * GB
    max_prediction_cache_size: int = 50 * GB

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.database_path}"

    @property
    def database_path(self) -> Path:
        return self.root.absolute() / "hub.sqlite"

    @property
    def storage_url(self) -> str:
        return self.storage or str(self.root.absolute() / "storage")
