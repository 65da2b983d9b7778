"""`VideoRecord`: one clip of a data set. `VideoRecords`: all of them, with the labels in their order."""

import io
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import IO, Any

import torch

from muybridge.data.errors import DataError
from muybridge.data.segments import SegmentReader
from muybridge.video import VideoError, VideoReader
from muybridge.video.source import make_source

NO_LABEL = -100  # what PyTorch's cross-entropy passes over


@dataclass(frozen=True, slots=True)
class TarMember:
    """A video inside an uncompressed tar file: `size` bytes from `offset` on."""

    shard: str
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.shard}/{self.name}"

    def read(self) -> bytes:
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


@dataclass(frozen=True, slots=True)
class VideoRecord:
    """One clip: where it is, what it shows, and to which part of the data it belongs.

    `source` is a path, an http(s) address, or where in a larger file the video is stored. The clip lasts from
    `start_seconds` up to `end_seconds`; None is the beginning and the end of the video. Clips that were cut from the
    same footage or show the same person share a `group`. `extra` holds the other columns of a manifest.
    """

    source: str | StoredVideo
    label: str | None = None
    start_seconds: float | None = None
    end_seconds: float | None = None
    split: str | None = None
    group: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        start, end = self.start_seconds or 0.0, self.end_seconds
        if start < 0:
            raise ValueError(f"start_seconds is {start}; it must be zero or more")
        if end is not None and end <= start:
            raise ValueError(f"end_seconds is {end}; it must lie after start_seconds, which is {start}")

    @property
    def name(self) -> str:
        """How errors and reports call the clip."""
        if not self.is_segment:
            return str(self.source)
        end = "" if self.end_seconds is None else f"{self.end_seconds:g}"
        return f"{self.source} [{self.start_seconds or 0:g}, {end}) s"

    @property
    def is_segment(self) -> bool:
        return self.start_seconds is not None or self.end_seconds is not None


class VideoRecords(Sequence[VideoRecord]):
    """The clips of a data set, and the names of its labels in the order of a classifier's outputs.

    `absent` lists clips that a published list names and the disk lacks. Selections share the memory of the whole,
    and so do the worker processes of a DataLoader.
    """

    def __init__(
        self,
        records: Iterable[VideoRecord],
        labels: Sequence[str] = (),
        *,
        absent: Sequence[str] = (),
        stores: Mapping[str, Any] | None = None,
    ) -> None:
        records = list(records)
        self.labels = tuple(labels)
        self.absent = tuple(absent)
        self.stores = dict(stores or {})
        self._packed = _PackedRecords(records)
        self._splits = tuple(dict.fromkeys(record.split for record in records if record.split is not None))
        self._positions = torch.arange(len(records))

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, index: Any) -> Any:
        """A record; for a slice, these records with their labels."""
        if isinstance(index, slice):
            return self.select(range(len(self))[index])
        return self._packed[int(self._positions[index])]

    def __iter__(self) -> Iterator[VideoRecord]:
        return (self._packed[position] for position in self._positions.tolist())

    def __repr__(self) -> str:
        return f"VideoRecords({len(self)} clips, {len(self.labels)} labels, splits: {', '.join(self.splits) or 'none'})"

    @property
    def label2id(self) -> dict[str, int]:
        return {label: number for number, label in enumerate(self.labels)}

    @property
    def id2label(self) -> dict[int, str]:
        return dict(enumerate(self.labels))

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the data set's splits, in the order in which they come."""
        return self._splits

    def label_ids(self) -> list[int]:
        """The number of each record's label; `NO_LABEL` where it has none."""
        numbers = self.label2id
        return [NO_LABEL if record.label is None else numbers[record.label] for record in self]

    def select(self, indices: Iterable[int]) -> "VideoRecords":
        """The records at `indices`, with the labels of all."""
        selection = object.__new__(VideoRecords)
        selection.__dict__.update(self.__dict__)
        selection._positions = self._positions[torch.tensor(list(indices), dtype=torch.int64)]
        return selection

    def where(self, is_wanted: Callable[[VideoRecord], bool]) -> "VideoRecords":
        """The records for which `is_wanted` is true, with the labels of all."""
        return self.select(index for index, record in enumerate(self) if is_wanted(record))

    def with_split(self, split: str) -> "VideoRecords":
        """The records of one split, with the labels of all."""
        if split not in self.splits:
            known = f"it has {', '.join(self.splits)}" if self.splits else "it is not divided into splits"
            raise DataError(f"the data set has no split {split!r}; {known}")
        return self.where(lambda record: record.split == split)

    def open(self, record: VideoRecord) -> VideoReader:
        """A reader of the clip: of its segment alone, where it has one."""
        return open_clip(record, self.stores)

    def open_file(self, record: VideoRecord) -> IO[bytes]:
        """The file that the clip is in, as bytes."""
        return make_source(readable(record.source, self.stores)).open_file()


def open_clip(record: VideoRecord, stores: Mapping[str, Any]) -> VideoReader:
    """A reader of the clip: of its segment alone, where it has one."""
    source = readable(record.source, stores)
    if record.is_segment:
        return SegmentReader(source, start_seconds=record.start_seconds or 0.0, end_seconds=record.end_seconds)
    return VideoReader(source)


def readable(source: str | StoredVideo, stores: Mapping[str, Any]) -> "str | NamedBytes":
    """What a VideoReader takes."""
    if isinstance(source, str):
        return source
    if isinstance(source, DatasetRow):
        video = stores[source.store][source.position][source.column]
        return NamedBytes(video["bytes"] if isinstance(video, Mapping) else video, str(source))
    return NamedBytes(source.read(), str(source))


class NamedBytes(io.BytesIO):
    """Bytes as a file whose name appears in errors."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


class _PackedRecords:
    """Records as one tensor of bytes.

    A million Python objects are copied page by page into every forked worker, as soon as their reference counts are
    touched; a tensor is shared, and also a spawned worker gets it without a copy.
    """

    def __init__(self, records: Sequence[VideoRecord]) -> None:
        pieces = [pickle.dumps(record, pickle.HIGHEST_PROTOCOL) for record in records]
        self._bytes = torch.frombuffer(bytearray(b"".join(pieces) or b"\0"), dtype=torch.uint8)
        self._ends = torch.tensor([0, *accumulate(map(len, pieces))], dtype=torch.int64)

    def __getitem__(self, position: int) -> VideoRecord:
        start, end = self._ends[position : position + 2].tolist()
        return pickle.loads(self._bytes[start:end].numpy().data)
