"""`load_videos`: reads the clips of a data set in any format."""

import difflib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from muybridge.data.errors import DataError
from muybridge.data.formats import Catalogue, Entry, Request, recognise
from muybridge.data.records import VideoRecords
from muybridge.data.targets import get_target

logger = logging.getLogger(__name__)

LABEL_KINDS = ("label", "labels")  # of targets


def load_videos(
    source: Any,
    split: str | None = None,
    *,
    labels: Sequence[str] | None = None,
    videos: str | Path | None = None,
    fold: int = 1,
    targets: Sequence[str] | None = None,
) -> VideoRecords:
    """The clips of a data set, or of one split of it.

    source: a path whose format is recognised, `FORMAT:PLACE` with one of `FORMATS` to name it, or a `Dataset` or
        `DatasetDict` of the library `datasets`.
    labels: the names in a classifier's order; by default the data set's own order, or the alphabet. They are those of
        the whole data set, whichever split is taken. Where clips have sets of labels, it is the order of these.
    videos: where the clips lie, for formats that keep lists and clips apart.
    fold: which of the official divisions into training and test, of UCF101 and HMDB51.
    targets: which kinds of targets are read, see `TARGETS`; by default all that the data set tells. Columns of other
        kinds go to `extra`.

    Clips need no labels: what cannot do without them says so, by `check_labels` and `require_targets`.
    """
    kinds = None if targets is None else tuple(get_target(kind).kind for kind in targets)  # refuses unknown ones
    catalogue = read_catalogue(source, Request(str(source), Path(videos) if videos else None, fold, kinds))
    if labels is None:
        refuse_labels_alike(catalogue.entries)
    else:
        catalogue = order_labels(catalogue, labels)
    refuse_unknown_labels(catalogue)
    refuse_two_labels(catalogue.entries)
    if catalogue.absent:
        name = source if isinstance(source, str | Path) else "the data set"
        logger.warning("%s lists %d clips that are not there", name, len(catalogue.absent))
    records = [entry.record for entry in catalogue.entries]
    loaded = VideoRecords(records, names=catalogue.names, absent=catalogue.absent, stores=catalogue.stores)
    return loaded if split is None else loaded.with_split(split)


def name_data(place: str) -> str:
    """A short name for a data set: the folder, or the name on the Hub, with which its place ends; a list's folder."""
    parts = [part for part in re.split(r"[/\\:]", place) if part] or [place]
    is_list = len(parts) > 1 and parts[-1].endswith((".csv", ".json", ".jsonl", ".txt", ".tsv"))
    return parts[-2 if is_list else -1]


def read_catalogue(source: Any, request: Request) -> Catalogue:
    if isinstance(source, str | Path):
        form, place = recognise(str(source))
        return form.read(replace(request, place=place))
    if isinstance(source, Mapping) or hasattr(source, "features"):
        from muybridge.data.formats.datasets_library import read_loaded

        return read_loaded(source, request.targets)
    raise TypeError(f"a data set is a path, or a Dataset of the library datasets, not {type(source).__name__}")


def order_labels(catalogue: Catalogue, labels: Sequence[str]) -> Catalogue:
    """The data set with its labels in the order that is asked for: single ones, sets of them, or both."""
    kinds = [kind for kind in LABEL_KINDS if any(kind in entry.record.targets for entry in catalogue.entries)]
    return replace(catalogue, names={**catalogue.names, **{kind: tuple(labels) for kind in kinds or ["label"]}})


def refuse_unknown_labels(catalogue: Catalogue) -> None:
    """Raises where a clip has a label that is not among the names of the data set."""
    for kind in LABEL_KINDS:
        order = catalogue.names.get(kind)
        if order is None:
            continue
        known = set(order)
        for entry in catalogue.entries:
            target = entry.record.targets.get(kind)
            unknown = set(target.get_names()) - known if target else ()
            if unknown:
                label = min(unknown)
                similar = difflib.get_close_matches(label, order, n=1)
                hint = f"; did you mean {similar[0]!r}?" if similar else ""
                raise DataError(f"{entry.origin}: the label {label!r} is none of the {len(order)} that are known{hint}")


def refuse_two_labels(entries: Sequence[Entry]) -> None:
    """Raises where one clip is listed with two labels. Parts of a video may show different things."""
    first: dict[Any, Entry] = {}
    for entry in entries:
        record = entry.record
        same = first.setdefault((record.source, record.start_seconds, record.end_seconds), entry)
        if same.record.label != record.label:
            raise DataError(
                f"{entry.origin}: {record.name} has the label {record.label!r} here and {same.record.label!r} at "
                f"{same.origin}; a clip has one label, several stand in the column 'labels'"
            )


def refuse_labels_alike(entries: Sequence[Entry]) -> None:
    """Raises where two labels differ only in case, which is a slip; `labels` says that it is meant."""
    first: dict[str, tuple[str, str]] = {}
    for entry in entries:
        for label in entry.record.labels:
            same, origin = first.setdefault(label.casefold(), (label, entry.origin))
            if same != label:
                raise DataError(
                    f"{entry.origin}: the label {label!r} and {same!r} at {origin} differ only in capital letters; "
                    "make them one, or say with `labels` that they are two"
                )
