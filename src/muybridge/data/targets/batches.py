"""Targets of records become items of a data set, and these become batches."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from muybridge.data.errors import DataError
from muybridge.data.targets.base import Target
from muybridge.data.targets.registry import get_target


def encode_targets(
    targets: Mapping[str, Target], kinds: Iterable[str], ids: Mapping[str, Mapping[str, int]], name: str
) -> dict[str, Any]:
    """What an item holds of a record's targets, by kind; arrays are read here.

    ids: for each kind the numbers of its names. name: how errors call the record.
    """
    encoded = {}
    for kind in kinds:
        try:
            encoded[kind] = get_target(kind).encode(targets.get(kind), ids.get(kind, {}))
        except DataError as error:
            raise DataError(f"{name}, {kind}: {error}") from error
    return encoded


def collate_targets(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A batch of what `encode_targets` gives, by kind: padded to the largest, with masks, see `Target`."""
    if not items:
        return {}
    return {kind: get_target(kind).collate([item[kind] for item in items]) for kind in items[0]}
