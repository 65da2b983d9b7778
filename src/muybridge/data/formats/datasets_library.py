"""Any data set that the library `datasets` reads: the Hub, Parquet, videofolder, webdataset; decoding stays ours."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import datasets

from muybridge.data.errors import DataError
from muybridge.data.formats.catalogue import Catalogue, Entry, Request, sorted_labels
from muybridge.data.records import DatasetRow, VideoRecord

LABEL_COLUMNS = ("label", "labels", "class", "cls")
BUILDERS = ("videofolder", "webdataset", "parquet")


def recognises(path: Path) -> bool:
    return path.is_dir() and any(path.rglob("*.parquet"))


def read_parquet(request: Request) -> Catalogue:
    return read_loaded(open_with_builder("parquet", request.place))


def read_videofolder(request: Request) -> Catalogue:
    return read_loaded(open_with_builder("videofolder", request.place))


def read_webdataset(request: Request) -> Catalogue:
    return read_loaded(open_with_builder("webdataset", request.place))


def read_hub(request: Request) -> Catalogue:
    return read_loaded(datasets.load_dataset(request.place))


def open_with_builder(builder: str, place: str, *, streaming: bool = False) -> Any:
    """A folder, or a pattern or address of files, opened with one of `datasets`' builders."""
    where = {"data_dir": place} if Path(place).is_dir() else {"data_files": place}
    return datasets.load_dataset(builder, streaming=streaming, **where)


def read_loaded(loaded: Any) -> Catalogue:
    """The rows of a `Dataset`, or of each split of a `DatasetDict`."""
    parts = dict(loaded) if isinstance(loaded, Mapping) else {str(loaded.split or "all"): loaded}
    stores = {}
    entries: list[Entry] = []
    for split, part in parts.items():
        columns = Columns(part.features, split)
        stores[split] = columns.rows(part)
        entries += columns.entries(stores[split])
    labels = columns.labels or sorted_labels({entry.record.label for entry in entries if entry.record.label})
    return Catalogue(entries, labels, stores=stores)


class Columns:
    """Which columns of a data set hold the video and its label."""

    def __init__(self, features: Mapping[str, Any], split: str) -> None:
        self.split = split
        self.features = features
        self.video = find_video_column(features)
        self.label = next((name for name in LABEL_COLUMNS if name in features), None)
        feature = features.get(self.label) if self.label else None
        self.labels = tuple(feature.names) if isinstance(feature, datasets.ClassLabel) else None

    def rows(self, loaded: Any) -> Any:
        """The data set with its videos as bytes and paths: decoding is ours."""
        return loaded.cast_column(self.video, datasets.Video(decode=False))

    def entries(self, store: Any) -> Iterator[Entry]:
        """A record a row. Rows are read without their videos, which may be embedded and large."""
        others = store.remove_columns([self.video])
        for position, (row, path) in enumerate(zip(others, self.paths(store), strict=True)):
            origin = f"row {position} of the split {self.split!r}"
            is_file = path is not None and Path(path).is_file()
            source = path if is_file else DatasetRow(self.split, position, self.video, path or origin)
            yield Entry(self.record(row, source), origin)

    def paths(self, store: Any) -> Iterator[str | None]:
        """The path of each video, out of the Arrow table, where reading it does not read the bytes beside it."""
        for chunk in store.data.column(self.video).chunks:
            yield from chunk.field("path").to_pylist()

    def record(self, row: Mapping[str, Any], source: Any) -> VideoRecord:
        """The record of a row; `json` is where a tar shard keeps what is known of a clip."""
        facts = {**row, **(row.get("json") or {})}
        facts = {name: value for name, value in facts.items() if not name.startswith("__")}  # WebDataset's own
        used = {self.video, "json", "label", "split", "group", "start_seconds", "end_seconds", self.label}
        return VideoRecord(
            source,
            label=self.label_of(facts),
            start_seconds=facts.get("start_seconds"),
            end_seconds=facts.get("end_seconds"),
            split=facts.get("split") or self.split,
            group=facts.get("group"),
            extra={name: value for name, value in facts.items() if name not in used},
        )

    def label_of(self, facts: Mapping[str, Any]) -> str | None:
        if facts.get("label") is not None and not self.labels:
            return str(facts["label"])
        value = facts.get(self.label) if self.label else None
        if value is None or (self.labels and value == -1):  # -1 is how `datasets` says that there is no label
            return None
        return self.labels[value] if self.labels else str(value)


def find_video_column(features: Mapping[str, Any]) -> str:
    """The one column of videos: of the type `Video`, or a structure of bytes and path."""
    typed = [name for name, feature in features.items() if isinstance(feature, datasets.Video)]
    plain = [
        name for name, feature in features.items() if isinstance(feature, Mapping) and set(feature) == {"bytes", "path"}
    ]
    found = typed or plain
    if len(found) != 1:
        what = f"several columns of videos, {', '.join(found)}" if found else "no column of videos"
        raise DataError(f"the data set has {what}; its columns are {', '.join(features)}")
    return found[0]
