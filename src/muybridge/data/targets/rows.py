"""Targets from rows of a manifest, and back."""

from collections.abc import Mapping
from typing import Any

from muybridge.data.errors import DataError
from muybridge.data.targets.base import Row, Target
from muybridge.data.targets.registry import TARGETS


def read_targets(row: Row) -> dict[str, Target]:
    """All targets that a row tells, by kind. A ValueError says which kind is wrong."""
    targets: dict[str, Target] = {}
    filled = {column for column, value in row.values.items() if value is not None}
    for kind, target_class in TARGETS.items():
        if filled.isdisjoint(target_class.columns):
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


def get_target_columns() -> set[str]:
    """The columns of a manifest that tell targets."""
    return {column for target in TARGETS.values() for column in target.columns}
