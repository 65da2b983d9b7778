"""Where the bytes of a video, or of what is known of it, are stored: in tar files, in memory, in a data set's rows."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class TarMember:
    """A file inside an uncompressed tar file: `size` bytes from `offset` on."""

    shard: str
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.shard}/{self.name}"

    def read(self) -> bytes:
        from muybridge.video.errors import VideoError

        try:
            with Path(self.shard).open("rb") as file:
                file.seek(self.offset)
                data = file.read(self.size)
        except OSError as error:
            raise VideoError(str(self), f"the shard cannot be read: {error.strerror}") from error
        if len(data) < self.size:
            raise VideoError(str(self), f"the shard ends after {len(data)} of {self.size} bytes", "pack it again")
        return data


@dataclass(frozen=True, slots=True)
class VideoBytes:
    """A video in memory, as a stream of them brings it."""

    name: str
    data: bytes = field(repr=False)

    def __str__(self) -> str:
        return self.name

    def read(self) -> bytes:
        return self.data


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """A video inside a data set of `datasets`, which `VideoRecords.stores` holds under the name `store`."""

    store: str
    position: int
    column: str
    name: str

    def __str__(self) -> str:
        return self.name


StoredVideo = TarMember | VideoBytes | DatasetRow


class NamedBytes(io.BytesIO):
    """Bytes as a file whose name appears in errors."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


def make_readable(source: str | StoredVideo, stores: Mapping[str, Any]) -> str | NamedBytes:
    """What a reader takes: a path or an address as it is, or a file in memory."""
    if isinstance(source, str):
        return source
    if isinstance(source, DatasetRow):
        video = stores[source.store][source.position][source.column]
        return NamedBytes(video["bytes"] if isinstance(video, Mapping) else video, str(source))
    return NamedBytes(source.read(), str(source))
