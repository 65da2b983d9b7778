"""`load_videos`: which clips, whatever the format of their list."""

import difflib
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from muybridge.data.errors import DataError
from muybridge.data.formats import Catalogue, Entry, Request, recognise
from muybridge.data.records import VideoRecords

logger = logging.getLogger(__name__)


def load_videos(
    source: Any,
    split: str | None = None,
    *,
    labels: Sequence[str] | None = None,
    videos: str | Path | None = None,
    fold: int = 1,
    needs_labels: bool = True,
) -> VideoRecords:
    """The clips of a data set, or of one split of it.

    source: a path whose format is recognised, `FORMAT:PLACE` with one of `FORMATS` to name it, or a `Dataset` or
        `DatasetDict` of the library `datasets`.
    labels: the names in a classifier's order; by default the data set's own order, or the alphabet. They are those of
        the whole data set, whichever split is taken.
    videos: where the clips lie, for formats that keep lists and clips apart.
    fold: which of the official divisions into training and test, of UCF101 and HMDB51.
    needs_labels: False takes clips without labels, or all of one label, for work that does not classify.
    """
    catalogue = read_catalogue(source, Request(str(source), Path(videos) if videos else None, fold))
    name = source if isinstance(source, str | Path) else "the data set"
    order = check_labels(catalogue, str(name), labels, needs_labels=needs_labels)
    if catalogue.absent:
        logger.warning("%s lists %d clips that are not there", name, len(catalogue.absent))
    records = [entry.record for entry in catalogue.entries]
    loaded = VideoRecords(records, order, absent=catalogue.absent, stores=catalogue.stores)
    return loaded if split is None else loaded.with_split(split)


def name_data(place: str) -> str:
    """A short name for a data set: the folder, or the name on the Hub, with which its place ends; a list's folder."""
    parts = [part for part in re.split(r"[/\\:]", place) if part] or [place]
    is_list = len(parts) > 1 and parts[-1].endswith((".csv", ".json", ".jsonl", ".txt", ".tsv"))
    return parts[-2 if is_list else -1]


def read_catalogue(source: Any, request: Request) -> Catalogue:
    if isinstance(source, str | Path):
        form, place = recognise(str(source))
        return form.read(Request(place, request.videos, request.fold))
    if isinstance(source, Mapping) or hasattr(source, "features"):
        from muybridge.data.formats.datasets_library import read_loaded

        return read_loaded(source)
    raise TypeError(f"a data set is a path, or a Dataset of the library datasets, not {type(source).__name__}")


def check_labels(
    catalogue: Catalogue, name: str, labels: Sequence[str] | None, *, needs_labels: bool
) -> tuple[str, ...]:
    """The labels in their order; raises where those of the clips contradict them or each other."""
    order = tuple(labels if labels is not None else catalogue.labels or ())
    refuse_unknown_labels(catalogue.entries, order)
    refuse_two_labels(catalogue.entries)
    if labels is None:
        refuse_labels_alike(catalogue.entries)
    if needs_labels:
        require_labels(catalogue.entries, order, name)
    return order


def refuse_unknown_labels(entries: Sequence[Entry], order: Sequence[str]) -> None:
    known = set(order)
    for entry in entries:
        label = entry.record.label
        if label is not None and label not in known:
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
                f"{same.origin}; a clip has one label"
            )


def refuse_labels_alike(entries: Sequence[Entry]) -> None:
    """Raises where two labels differ only in case, which is a slip of the hand; `labels` says that it is not."""
    first: dict[str, Entry] = {}
    for entry in entries:
        label = entry.record.label
        same = first.setdefault(label.casefold(), entry) if label else entry
        if same.record.label != label:
            raise DataError(
                f"{entry.origin}: the label {label!r} and {same.record.label!r} at {same.origin} differ only in "
                f"capital letters; make them one, or say with `labels` that they are two"
            )


def require_labels(entries: Sequence[Entry], order: Sequence[str], name: str) -> None:
    """Raises where there is nothing to tell apart. A published test list without labels is left alone."""
    if not any(entry.record.label for entry in entries):
        raise DataError(f"{name}: no clip has a label; pass needs_labels=False for work without labels")
    if len(order) < 2:
        raise DataError(f"{name}: all clips have the label {order[0]!r}; a classifier needs two classes or more")
