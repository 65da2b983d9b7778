"""The settings of a server: one flat list. All but the folder have defaults."""

from dataclasses import dataclass
from pathlib import Path

KB, MB, GB = 1 << 10, 1 << 20, 1 << 30


@dataclass(frozen=True)
class Settings:
    """What can be configured. `root` is the folder of the hub."""

    root: Path
    database: str | None = None  # a URL for SQLAlchemy; by default, an SQLite file in the root
    storage: str | None = None  # a folder, or a URL for fsspec; by default, a folder in the root
    public_url: str | None = None  # the URL that clients use; by default, taken from each request
    inference: str | None = None  # the command that classifies clips; see `inference.py`

    max_file_size: int = 500 * GB
    max_inline_size: int = 16 * MB  # of a file within a commit, not uploaded over LFS
    max_json_size: int = 10 * MB
    max_clip_size: int = 100 * MB  # of a clip to try a model on

    large_from: int = 1 * MB  # files of this size or more are uploaded over LFS, not within a commit
    multipart_from: int = 2 * GB  # files of this size or more are uploaded in parts
    part_size: int = 256 * MB
    upload_hours: int = 24  # until an upload URL expires

    idle_seconds: float = 60.0  # clients that neither send nor receive for this long are disconnected
    min_bytes_per_second: int = 1 * KB  # clients that send more slowly are disconnected
    header_seconds: float = 20.0  # time for a client to send the headers of a request

    clip_seconds: float = 300.0  # time for a client to send a clip to try a model on
    prediction_seconds: float = 60.0  # time limit of one prediction
    prediction_start_seconds: float = 120.0  # additional time for the first prediction, which starts the command
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
