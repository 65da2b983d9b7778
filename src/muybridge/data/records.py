"""`VideoRecord`: one clip of a data set. `VideoRecords`: all of them, with the names of their labels."""

import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import IO, TYPE_CHECKING, Any, overload

import numpy as np

from muybridge.data.errors import DataError
from muybridge.data.sharing import SharedArray
from muybridge.data.sources import StoredVideo, make_readable
from muybridge.data.targets import NO_LABEL, Label, Target, encode_targets
from muybridge.data.targets.base import sort_names

if TYPE_CHECKING:
    from muybridge.video import Reader, VideoReader

Source = str | StoredVideo

MAIN_SOURCE = "video"  # what the one source of a record is called
DERIVED_SOURCES = ("sound", "flow")  # what a video has in it, or what can be computed of it


@dataclass(frozen=True, slots=True, init=False)
class VideoRecord:
    """One clip: where it is, what is known of it, and to which part of the data it belongs.

    sources: by name, a path, an http(s) address, or where in a larger file the video is stored. Several of them show
        the same moments: a second camera, infrared, sound. The first is the one that is meant where one is asked for.
    targets: what is known of the clip, by kind, see `TARGETS`.
    start_seconds, end_seconds: the clip is this part of its sources; None is their beginning and their end.
    split: the part of the data that it belongs to, such as "train".
    group: clips that were cut from the same footage, or show the same person, share one.
    extra: the other columns of a manifest.
    """

    sources: Mapping[str, Source]
    targets: Mapping[str, Target]
    start_seconds: float | None
    end_seconds: float | None
    split: str | None
    group: str | None
    extra: Mapping[str, Any]

    def __init__(
        self,
        source: Source | None = None,
        label: str | None = None,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
        split: str | None = None,
        group: str | None = None,
        extra: Mapping[str, Any] | None = None,
        *,
        sources: Mapping[str, Source] | None = None,
        targets: Mapping[str, Target] | None = None,
    ) -> None:
        """`source` is short for the one source, and `label` for the target of this kind."""
        if source is not None and not sources:
            sources = {MAIN_SOURCE: source}
        elif source is not None or not sources:
            raise ValueError("a record has a source, or sources by name; pass one of the two")
        if label is not None and targets and "label" in targets:
            raise ValueError(f"the label is {label!r}, and the targets have one too; pass one of the two")
        start, end = start_seconds or 0.0, end_seconds
        if start < 0:
            raise ValueError(f"start_seconds is {start}; it must be zero or more")
        if end is not None and end <= start:
            raise ValueError(f"end_seconds is {end}; it must lie after start_seconds, which is {start}")
        own = {} if label is None else {"label": Label(label)}
        values = {
            "sources": dict(sources),
            "targets": {**own, **(targets or {})},
            "start_seconds": start_seconds,
            "end_seconds": end_seconds,
            "split": split,
            "group": group,
            "extra": dict(extra or {}),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        """Much faster than what a dataclass has: a data set holds its records pickled."""
        return restore_record, tuple(getattr(self, name) for name in self.__slots__)

    @property
    def source(self) -> Source:
        """The first of the sources."""
        return next(iter(self.sources.values()))

    @property
    def label(self) -> str | None:
        """The name of the label; None where there is none, or a set of several."""
        label = self.targets.get("label")
        return label.name if isinstance(label, Label) else None

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, the single one and those of a set, each once."""
        found = [self.targets[kind] for kind in ("label", "labels") if kind in self.targets]
        return tuple(dict.fromkeys(name for target in found for name in target.get_names()))

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


def restore_record(*values: Any) -> VideoRecord:
    """The record with these values of its fields, which were checked when it was made."""
    record = object.__new__(VideoRecord)
    for name, value in zip(VideoRecord.__slots__, values, strict=True):
        object.__setattr__(record, name, value)
    return record


class VideoRecords(Sequence[VideoRecord]):
    """The clips of a data set, and the names that their targets use, in the order of a classifier's outputs.

    labels: the names of the labels; by default those of the records, sorted.
    names: the same for other kinds of targets, such as "labels" or "scene".
    absent: clips that a published list names and the disk lacks.
    stores: data sets of the library `datasets` by name, in which videos lie.

    Selections share the memory of the whole, and so do the worker processes of a DataLoader.
    """

    def __init__(
        self,
        records: Iterable[VideoRecord],
        labels: Sequence[str] | None = None,
        *,
        names: Mapping[str, Sequence[str]] | None = None,
        absent: Sequence[str] = (),
        stores: Mapping[str, Any] | None = None,
    ) -> None:
        records = list(records)
        given = {**(names or {}), **({} if labels is None else {"label": labels})}
        self.names = {kind: tuple(order) for kind, order in {**collect_names(records), **given}.items()}
        self.absent = tuple(absent)
        self.stores = dict(stores or {})
        self._ids = {kind: number_names(order) for kind, order in self.names.items()}
        self._packed = _PackedRecords(records)
        self._splits = tuple(dict.fromkeys(record.split for record in records if record.split is not None))
        self._positions = SharedArray(np.arange(len(records)))

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, index: Any) -> Any:
        """A record; for a slice, these records with the names of all."""
        if isinstance(index, slice):
            return self.select(range(len(self))[index])
        return self._packed[int(self._positions.array[index])]

    def __iter__(self) -> Iterator[VideoRecord]:
        return (self._packed[position] for position in self._positions.array.tolist())

    def __repr__(self) -> str:
        return f"VideoRecords({len(self)} clips, {len(self.labels)} labels, splits: {', '.join(self.splits) or 'none'})"

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the labels, in the order of their numbers; of other targets `names` has them."""
        return self.names.get("label", ())

    @property
    def label2id(self) -> dict[str, int]:
        return number_names(self.labels)

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

    def encode_targets(self, index: int, kinds: Iterable[str] = ("label",)) -> dict[str, Any]:
        """What an item holds of the record's targets, by kind: `collate_targets` makes batches of it.

        Arrays, such as masks, are read here; so ask for what is needed.
        """
        record = self[index]
        return encode_targets(record.targets, kinds, self._ids, record.name)

    def select(self, indices: Iterable[int]) -> "VideoRecords":
        """The records at `indices`, with the names of all."""
        selection = object.__new__(VideoRecords)
        selection.__dict__.update(self.__dict__)
        selection._positions = SharedArray(self._positions.array[np.array(list(indices), dtype=np.int64)])
        return selection

    def where(self, is_wanted: Callable[[VideoRecord], bool]) -> "VideoRecords":
        """The records for which `is_wanted` is true, with the names of all."""
        return self.select(index for index, record in enumerate(self) if is_wanted(record))

    def with_split(self, split: str) -> "VideoRecords":
        """The records of one split, with the names of all."""
        if split not in self.splits:
            known = f"it has {', '.join(self.splits)}" if self.splits else "it is not divided into splits"
            raise DataError(f"the data set has no split {split!r}; {known}")
        return self.where(lambda record: record.split == split)

    @overload
    def open(self, record: VideoRecord) -> "VideoReader": ...
    @overload
    def open(self, record: VideoRecord, source: str) -> "Reader": ...
    def open(self, record: VideoRecord, source: str | None = None) -> "Reader":
        """A reader of the clip, of its segment alone where it has one.

        source: the name of one of its sources; by default the first. "sound" is read of the first one where it has no
            file of its own.
        """
        return open_clip(record, self.stores, source)

    def open_all(
        self, record: VideoRecord, sources: Iterable[str] | None = None
    ) -> "AbstractContextManager[dict[str, Reader]]":
        """Readers of the clip by name, in step with each other; all close together.

        sources: the names of those wanted; by default all that the record has.
        """
        return open_sources(record, self.stores, sources)

    def open_file(self, record: VideoRecord, source: str | None = None) -> IO[bytes]:
        """The file that the clip is in, as bytes."""
        from muybridge.video.source import make_source

        return make_source(make_readable(find_source(record, source), self.stores)).open_file()


def number_names(names: Sequence[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(names)}


def collect_names(records: Iterable[VideoRecord]) -> dict[str, list[str]]:
    """For each kind of target that has names, those of all records, sorted."""
    found: dict[str, set[str]] = {}
    for record in records:
        for kind, target in record.targets.items():
            found.setdefault(kind, set()).update(target.get_names())
    return {kind: sort_names(names) for kind, names in found.items() if names}


def find_source(record: VideoRecord, name: str | None) -> Source:
    """The source of this name; sound and flow are those of the first one where they have no file of their own."""
    if name is None or (name in DERIVED_SOURCES and name not in record.sources):
        return record.source
    if name not in record.sources:
        raise DataError(f"{record.name} has no source {name!r}; it has {', '.join(record.sources)}")
    return record.sources[name]


def open_clip(record: VideoRecord, stores: Mapping[str, Any], source: str | None = None) -> Any:
    """A reader of the clip, of its segment alone where it has one: of sound where this is the source's name."""
    from muybridge.video import SegmentReader, SoundReader, VideoReader

    readable = make_readable(find_source(record, source), stores)
    if source == "sound":
        return SoundReader(readable, start_seconds=record.start_seconds, end_seconds=record.end_seconds)
    if record.is_segment:
        return SegmentReader(readable, start_seconds=record.start_seconds or 0.0, end_seconds=record.end_seconds)
    return VideoReader(readable)


@contextmanager
def open_sources(
    record: VideoRecord, stores: Mapping[str, Any], sources: Iterable[str] | None = None
) -> "Iterator[dict[str, Reader]]":
    """Readers of the clip by name, of all its sources or of those that are named; all close together."""
    names = record.sources if sources is None else sources
    with ExitStack() as stack:
        yield {name: stack.enter_context(open_clip(record, stores, name)) for name in names}


class _PackedRecords:
    """Records as one array of bytes.

    A million Python objects are copied page by page into every forked worker, as soon as their reference counts are
    touched; an array is shared.
    """

    def __init__(self, records: Sequence[VideoRecord]) -> None:
        pieces = [pickle.dumps(record, pickle.HIGHEST_PROTOCOL) for record in records]
        self._bytes = SharedArray(np.frombuffer(b"".join(pieces), dtype=np.uint8))
        self._ends = SharedArray(np.array([0, *accumulate(map(len, pieces))], dtype=np.int64))

    def __getitem__(self, position: int) -> VideoRecord:
        start, end = self._ends.array[position : position + 2].tolist()
        return pickle.loads(self._bytes.array[start:end].data)
