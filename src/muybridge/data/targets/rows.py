"""Targets from rows of a manifest, and back."""

from collections.abc import Collection, Mapping
from typing import Any

from muybridge.data.errors import DataError
from muybridge.data.targets.base import Row, Target
from muybridge.data.targets.registry import TARGETS, get_target


def read_targets(row: Row, kinds: Collection[str] | None = None) -> dict[str, Target]:
    """The targets that a row tells, by kind: all, or those of some kinds. A DataError says which kind is wrong."""
    targets: dict[str, Target] = {}
    filled = {column for column, value in row.values.items() if value is not None}
    for kind, target_class in TARGETS.items():
        if filled.isdisjoint(target_class.columns) or (kinds is not None and kind not in kinds):
            continue
        try:
            target = target_class.read(row)
        except ValueError as error:
            raise DataError(f"{kind}: {error}") from error
        if target is not None:
            targets[kind] = target
    return targets


def write_targets(targets: Mapping[str, Target]) -> dict[str, Any]:
    """JSON values by column, from which `read_targets` makes the same targets again."""
    return {column: value for target in targets.values() for column, value in target.to_row().items()}


def get_target_columns(kinds: Collection[str] | None = None) -> set[str]:
    """The columns of a manifest that tell targets: of all kinds, or of some."""
    return {column for kind in (TARGETS if kinds is None else kinds) for column in get_target(kind).columns}
