"""Any data set that the library `datasets` reads: the Hub, Parquet, videofolder, webdataset; decoding stays ours."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from muybridge.data.errors import DataError
from muybridge.data.formats.catalogue import Catalogue, Entry, Request
from muybridge.data.records import MAIN_SOURCE, Source, VideoRecord
from muybridge.data.sources import DatasetRow
from muybridge.data.targets import TARGETS, read_targets
from muybridge.data.targets.base import Row
from muybridge.data.targets.rows import get_target_columns
from muybridge.extras import extra

with extra("datasets"):
    import datasets

LABEL_COLUMNS = ("label", "labels", "class", "cls")  # the first of these that is no list is the label
OWN_COLUMNS = ("start_seconds", "end_seconds", "split", "group")
BUILDERS = ("videofolder", "webdataset", "parquet")


def read_parquet(request: Request) -> Catalogue:
    return read_loaded(open_with_builder("parquet", request.place), request.targets)


def read_videofolder(request: Request) -> Catalogue:
    return read_loaded(open_with_builder("videofolder", request.place), request.targets)


def read_webdataset(request: Request) -> Catalogue:
    return read_loaded(open_with_builder("webdataset", request.place), request.targets)


def read_hub(request: Request) -> Catalogue:
    return read_loaded(datasets.load_dataset(request.place), request.targets)


def open_with_builder(builder: str, place: str, *, streaming: bool = False) -> Any:
    """A folder, or a pattern or address of files, opened with one of `datasets`' builders."""
    where = {"data_dir": place} if Path(place).is_dir() else {"data_files": place}
    return datasets.load_dataset(builder, streaming=streaming, **where)


def read_loaded(loaded: Any, kinds: Collection[str] | None = None) -> Catalogue:
    """The rows of a `Dataset`, or of each split of a `DatasetDict`."""
    parts = dict(loaded) if isinstance(loaded, Mapping) else {str(loaded.split or "all"): loaded}
    stores = {}
    entries: list[Entry] = []
    for split, part in parts.items():
        columns = Columns(part.features, split, kinds)
        stores[split] = columns.prepare_rows(part)
        entries += columns.read_entries(stores[split])
    return Catalogue(entries, columns.names, stores=stores)


class Columns:
    """Which columns of a data set hold the videos and what is known of them.

    kinds: of the targets that are read, None for all.
    names: for each kind of target whose column tells the names of its numbers, those names in their order.
    """

    def __init__(self, features: Mapping[str, Any], split: str, kinds: Collection[str] | None = None) -> None:
        self.split = split
        self.features = features
        self.kinds = kinds
        self.video, *self.further_videos = find_video_columns(features)
        self.label = next((name for name in LABEL_COLUMNS if name in features and not is_list(features[name])), None)
        self._classes = {name: feature.names for name, feature in find_classes(features).items()}
        named = {"label" if name == self.label else name: names for name, names in self._classes.items()}
        self.names = {kind: tuple(names) for kind, names in named.items() if kind in TARGETS}

    def prepare_rows(self, loaded: Any) -> Any:
        """The data set with its videos as bytes and paths: decoding is ours."""
        for column in (self.video, *self.further_videos):
            loaded = loaded.cast_column(column, datasets.Video(decode=False))
        return loaded

    def read_entries(self, store: Any) -> Iterator[Entry]:
        """A record a row. Rows are read without their videos, which may be embedded and large."""
        columns = (self.video, *self.further_videos)
        others = store.remove_columns(list(columns))
        paths = zip(*(self.read_paths(store, column) for column in columns), strict=True)
        for position, (row, places) in enumerate(zip(others, paths, strict=True)):
            origin = f"row {position} of the split {self.split!r}"
            found = [
                path
                if path is not None and Path(path).is_file()
                else DatasetRow(self.split, position, column, path or origin)
                for column, path in zip(columns, places, strict=True)
            ]
            further = dict(zip(self.further_videos, found[1:], strict=True))
            yield Entry(self.make_record(row, found[0], further), origin)

    def read_paths(self, store: Any, column: str) -> Iterator[str | None]:
        """The path of each video, out of the Arrow table, where reading it does not read the bytes beside it."""
        for chunk in store.data.column(column).chunks:
            yield from chunk.field("path").to_pylist()

    def make_record(
        self, row: Mapping[str, Any], source: Source, further_sources: Mapping[str, Source] | None = None
    ) -> VideoRecord:
        """The record of a row; `json` is where a tar shard keeps what is known of a clip."""
        facts = self.name_classes({**row, **(row.get("json") or {})})
        if self.label and facts.get("label") is None:
            value = facts.pop(self.label, None)
            facts["label"] = None if value in (-1, "-1") else value  # -1 is how WebDataset says: no label
        facts = {name: value for name, value in facts.items() if not name.startswith("__")}  # WebDataset's own
        used = {self.video, "json", self.label, *OWN_COLUMNS, *get_target_columns(self.kinds)}
        return VideoRecord(
            sources={MAIN_SOURCE: source, **(further_sources or {})},
            targets=read_targets(Row(facts, refuse_file), self.kinds),
            start_seconds=facts.get("start_seconds"),
            end_seconds=facts.get("end_seconds"),
            split=facts.get("split") or self.split,
            group=facts.get("group"),
            extra={name: value for name, value in facts.items() if name not in used},
        )

    def name_classes(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """The facts with names in the place of class numbers."""
        named = dict(facts)
        for column, names in self._classes.items():
            value = facts.get(column)
            if isinstance(value, list):
                named[column] = [names[number] for number in value]
            elif isinstance(value, int):
                named[column] = names[value] if value >= 0 else None  # -1 is how `datasets` says: no label
        return named


def is_list(feature: Any) -> bool:
    return isinstance(feature, datasets.Sequence | datasets.List | list)


def find_classes(features: Mapping[str, Any]) -> dict[str, Any]:
    """The columns whose numbers have names, single or in a list."""
    inner = {name: getattr(feature, "feature", feature) for name, feature in features.items()}
    return {name: feature for name, feature in inner.items() if isinstance(feature, datasets.ClassLabel)}


def refuse_file(value: Any) -> str:
    raise DataError(f"{value!r} names a file, and the rows of a data set have none beside them")


def find_video_columns(features: Mapping[str, Any]) -> list[str]:
    """The columns of videos: of the type `Video`, or structures of bytes and path. Of several, "video" is the first."""
    typed = [name for name, feature in features.items() if isinstance(feature, datasets.Video)]
    plain = [
        name for name, feature in features.items() if isinstance(feature, Mapping) and set(feature) == {"bytes", "path"}
    ]
    found = typed or plain
    if not found:
        raise DataError(f"the data set has no column of videos; its columns are {', '.join(features)}")
    if len(found) > 1 and MAIN_SOURCE not in found:
        raise DataError(
            f"the data set has several columns of videos, {', '.join(found)}; rename the main one to {MAIN_SOURCE!r}"
        )
    return sorted(found, key=lambda name: name != MAIN_SOURCE)
