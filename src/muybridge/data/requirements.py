"""Checks of targets over a whole data set: by what needs them, before it begins."""

from collections.abc import Iterable

from muybridge.data.errors import DataError
from muybridge.data.records import VideoRecord
from muybridge.data.targets import get_target
from muybridge.text import shorten


def require_targets(records: Iterable[VideoRecord], kind: str, name: str = "the data set") -> None:
    """Raises where a record lacks a kind of target; says which records, and what they have instead.

    name: how the message calls the data set.
    """
    target = get_target(kind)
    records = list(records)
    lacking = [record for record in records if kind not in record.targets]
    if not lacking:
        return
    others = sorted({other for record in lacking for other in record.targets})
    instead = f", which have {', '.join(others)}" if others else ""
    columns = " or ".join(f"'{column}'" for column in target.columns)
    remedy = f"leave them out, or give their manifest a column {columns}"
    if kind == "label":
        remedy = f"put them into folders of their classes, {remedy}"
    count = "no clip has" if len(lacking) == len(records) else f"{len(lacking)} of {len(records)} clips have no"
    names = shorten([record.name for record in lacking])
    raise DataError(f"{name}: {count} {kind}: {names}{instead}; {remedy}")


def check_labels(records: Iterable[VideoRecord], name: str = "the data set") -> None:
    """Raises where a classifier has nothing to learn from: a clip without a label, or one label for all.

    name: how the message calls the data set.
    """
    records = list(records)
    require_targets(records, "label", name)
    labels = {record.label for record in records}
    if len(labels) == 1:
        raise DataError(
            f"{name}: all {len(records)} clips have the label {labels.pop()!r}; a classifier learns nothing from them, "
            "add clips of another class"
        )
