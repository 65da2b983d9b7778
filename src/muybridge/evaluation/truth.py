"""What is known of the videos that are judged: how they are called, and their labels as numbers of a model.

Shapes: N videos, L labels.
"""

import difflib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muybridge.data import NO_LABEL, VideoRecord, require_targets
from muybridge.text import shorten


class Truth:
    """The names and the labels of videos, gathered while their records pass."""

    def __init__(self, label_names: Sequence[str], *, is_multi_label: bool = False, needs_labels: bool = True) -> None:
        """label_names: in the order of a model's outputs.
        is_multi_label: a video has a set of labels; that of a record with one label is a set of one.
        needs_labels: False takes records without labels.
        """
        self.label_names = list(label_names)
        self.is_multi_label = is_multi_label
        self.needs_labels = needs_labels
        self._numbers = {name: number for number, name in enumerate(self.label_names)}
        self._labels: dict[str, Sequence[str] | None] = {}  # by the name of a video

    def gather(self, records: Iterable[VideoRecord]) -> Iterable[VideoRecord]:
        """The same records. Where all are there already, what is wrong with one is said before the first is used."""
        if not isinstance(records, Sequence):
            return self._watch(records)
        if not len(records):
            raise ValueError("there are no videos")
        self._require_labels(records)
        for record in records:
            self._add(record)
        return records

    def _watch(self, records: Iterable[VideoRecord]) -> Iterator[VideoRecord]:
        for record in records:
            self._require_labels([record])
            self._add(record)
            yield record
        if not self._labels:
            raise ValueError("there are no videos")

    def _require_labels(self, records: Sequence[VideoRecord]) -> None:
        if self.needs_labels:
            kinds = {kind for record in records for kind in record.targets}
            require_targets(records, choose_kind(kinds, self.is_multi_label))

    def _add(self, record: VideoRecord) -> None:
        if record.name in self._labels:
            raise ValueError(f"{record.name} is there more than once; each video must be there once")
        labels = read_labels(record, self.is_multi_label)
        unknown = [label for label in labels or () if label not in self._numbers]
        if unknown:
            raise ValueError(
                f"{record.name} has the label {unknown[0]!r}, which is not known"
                f"{suggest(unknown[0], self.label_names)}; known are {shorten(self.label_names)}"
            )
        self._labels[record.name] = labels

    @property
    def videos(self) -> list[str]:
        """How the videos are called, below the folder that holds them all: the same wherever the data lie."""
        return strip_common_folders(list(self._labels))

    @property
    def labels(self) -> NDArray[np.int64]:
        """The number (N,) of each video's label, or 0 and 1 for each label (N, L); NO_LABEL where none is known."""
        if not self.is_multi_label:
            return np.array(
                [NO_LABEL if labels is None else self._numbers[labels[0]] for labels in self._labels.values()],
                dtype=np.int64,
            )
        rows = np.zeros((len(self._labels), len(self.label_names)), dtype=np.int64)
        for row, labels in zip(rows, self._labels.values(), strict=True):
            row[[self._numbers[label] for label in labels or ()]] = 1
            if labels is None:
                row[:] = NO_LABEL
        return rows


def choose_kind(kinds: Container[str], is_multi_label: bool) -> str:
    """The kind of targets that a model with one label a video, or with sets of them, is judged by."""
    return "labels" if is_multi_label and "labels" in kinds else "label"


def read_labels(record: VideoRecord, is_multi_label: bool) -> Sequence[str] | None:
    """The names of a record's labels; None where nothing is known of them."""
    target = record.targets.get(choose_kind(record.targets, is_multi_label))
    return None if target is None else tuple(target.get_names())


def get_names(data: Any) -> Mapping[str, Sequence[str]]:
    """The names in the targets of records or of a stream, by kind; none of an iterator, which does not know them."""
    return getattr(data, "names", {"label": data.labels} if hasattr(data, "labels") else {})


def get_data_labels(data: Any, *, is_multi_label: bool) -> Sequence[str]:
    """The names of the labels in data, as far as they are known before the last record."""
    names = get_names(data)
    return names.get(choose_kind(names, is_multi_label), ())


def refuse_unknown_labels(data: Any, label_names: Sequence[str], *, is_multi_label: bool) -> None:
    """Raises where data have labels that a model lacks, and lists both."""
    labels = get_data_labels(data, is_multi_label=is_multi_label)
    unknown = [label for label in labels if label not in set(label_names)]
    if unknown:
        raise ValueError(
            f"the data have labels that the model does not know: {shorten(unknown)}"
            f"{suggest(unknown[0], label_names)}. The model's labels are {shorten(label_names)}; "
            f"the data's {shorten(labels)}"
        )


def suggest(label: str, names: Sequence[str]) -> str:
    match = difflib.get_close_matches(label, names, n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""


def strip_common_folders(names: Sequence[str]) -> list[str]:
    """Names without the folders that all of them lie in."""
    levels = zip(*(name.split("/")[:-1] for name in names), strict=False)
    shared = [level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels)]
    return [name.removeprefix("".join(f"{folder}/" for folder in shared)) for name in names]
