"""Data that is not there in full: videos as they come over the network, or out of tar files from first to last.

A stream has no length and no places in it: what cannot be read is left out and not replaced, and resuming reads again
what was passed over. Where that matters, pack or download the data and use `load_videos`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import fsspec
from torch.utils.data import IterableDataset, get_worker_info

from muybridge.data.errors import DataError
from muybridge.data.formats.datasets_library import BUILDERS, Columns, open_with_builder
from muybridge.data.items import Item, make_views
from muybridge.data.loading import LABEL_KINDS
from muybridge.data.records import VideoRecord, number_names
from muybridge.data.skipping import SkipLog
from muybridge.data.sources import VideoBytes
from muybridge.data.targets import encode_targets
from muybridge.extras import extra
from muybridge.processing import ClipMaker
from muybridge.randomness import make_generator
from muybridge.video import ErrorPolicy

with extra("datasets"):
    import datasets


class VideoStream:
    """Records that come one after the other, and the names that their targets use, as far as they are known."""

    def __init__(self, rows: Any, columns: Columns, names: Mapping[str, Sequence[str]]) -> None:
        self.names = {kind: tuple(order) for kind, order in names.items()}
        self._rows = rows
        self._columns = columns

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the labels, in the order of their numbers."""
        return self.names.get("label", ())

    def __iter__(self) -> Iterator[VideoRecord]:
        for number, row in enumerate(self._rows):
            columns = (self._columns.video, *self._columns.further_videos)
            name = f"clip {number} of the stream"
            source, *further = [find_source(row.pop(column), name) for column in columns]
            yield self._columns.make_record(row, source, dict(zip(columns[1:], further, strict=True)))

    def shuffle(self, *, seed: int, buffer_size: int = 256) -> "VideoStream":
        """The stream with its files in random order, and its records as far as `buffer_size` of them allow."""
        return VideoStream(self._rows.shuffle(seed=seed, buffer_size=buffer_size), self._columns, self.names)

    def set_epoch(self, epoch: int) -> None:
        """Makes the next pass another shuffle."""
        self._rows.set_epoch(epoch)


def stream_videos(source: Any, split: str = "train", *, labels: Sequence[str] | None = None) -> VideoStream:
    """The clips of a data set that the library `datasets` reads, as they come.

    source: `hub:OWNER/NAME`, one of `datasets`' builders and a place such as `webdataset:https://…/train-*.tar`, or an
        `IterableDataset`.
    labels: the names in a classifier's order, where the data set does not tell them: a stream is not read to its end
        to collect them. They are those of single labels and of sets. What needs no labels does without.
    """
    rows = open_stream(source)
    if isinstance(rows, Mapping):
        if split not in rows:
            raise DataError(f"the data set has no split {split!r}; it has {', '.join(rows)}")
        rows = rows[split]
    if rows.features is None:
        raise DataError("the stream does not tell its columns; give it features, as load_dataset(features=…) does")
    columns = Columns(rows.features, split)
    names = columns.names if labels is None else {**columns.names, **dict.fromkeys(LABEL_KINDS, tuple(labels))}
    return VideoStream(columns.prepare_rows(rows), columns, names)


def open_stream(source: Any) -> Any:
    if not isinstance(source, str):
        return source
    name, _, place = source.partition(":")
    if name == "hub":
        return datasets.load_dataset(place, streaming=True)
    if name in BUILDERS:
        return open_with_builder(name, place, streaming=True)
    raise DataError(
        f"{source!r} cannot be streamed; it must begin with {', '.join(f'{each}:' for each in BUILDERS)} or hub:"
    )


def find_source(video: Any, name: str) -> str | VideoBytes:
    """A file on this machine by its path; else the bytes, which are fetched where the row has only an address."""
    data, path = (video["bytes"], video["path"]) if isinstance(video, Mapping) else (video, None)
    if data is not None:
        return VideoBytes(path or name, data)
    if path is None:
        raise DataError(f"{name} has neither bytes nor a path")
    if Path(path).is_file():
        return path
    with fsspec.open(path, "rb") as file:
        return VideoBytes(path, file.read())


class StreamDataset(IterableDataset[Item]):
    """Items as those of `ClipDataset`, from a stream; `index` counts the clips that a worker has seen.

    The workers of a DataLoader share the stream's files among them: there must be as many files as workers.
    """

    def __init__(
        self,
        stream: VideoStream,
        clip_maker: ClipMaker,
        *,
        targets: Sequence[str] = ("label",),
        policy: ErrorPolicy | None = None,
        seed: int = 0,
        log: str | Path | None = None,
    ) -> None:
        self.stream = stream
        self.clip_maker = clip_maker
        self.targets = tuple(targets)
        self.policy = policy or ErrorPolicy("skip")
        self.seed = seed
        self.skip_log = SkipLog(log)
        self._ids = {kind: number_names(names) for kind, names in stream.names.items()}

    @property
    def skipped(self) -> dict[str, str]:
        """The videos that could not be read so far, in this process or its workers, and why."""
        return self.skip_log.read()

    def __iter__(self) -> Iterator[Item]:
        worker = get_worker_info()
        worker_number = worker.id if worker else 0
        for index, record in enumerate(self.stream):
            item = self.make_item(record, index, worker_number)
            if item is not None:
                yield item

    def make_item(self, record: VideoRecord, index: int, worker_number: int) -> Item | None:
        generator = make_generator(self.seed, worker_number, index)
        views = self.policy.attempt(lambda: make_views(record, {}, self.clip_maker, generator), record.name)
        if views is None:
            self.skip_log.add(*self.policy.skipped[-1])
            return None
        for kind in LABEL_KINDS:
            if kind in self.targets and kind in record.targets and kind not in self._ids:
                raise DataError("a stream does not tell its labels before its end; pass labels=[…] to stream_videos")
        targets = encode_targets(record.targets, self.targets, self._ids, record.name)
        return {"views": views, "targets": targets, "index": index}
