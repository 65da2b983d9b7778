"""The kinds of targets by name."""

from typing import TypeVar

from muybridge.data.targets.base import Target

TARGETS: dict[str, type[Target]] = {}

Kind = TypeVar("Kind", bound=type[Target])


def register_target(kind: Kind) -> Kind:
    """Makes a kind of target known under its `kind`; a decorator of its class."""
    if kind.kind in TARGETS:
        raise ValueError(f"the kind {kind.kind!r} is registered already, as {TARGETS[kind.kind].__name__}")
    taken = {column: other.kind for other in TARGETS.values() for column in other.columns}
    for column in kind.columns:
        if column in taken:
            raise ValueError(f"the kind {kind.kind!r} reads the column {column!r}, which belongs to {taken[column]!r}")
    TARGETS[kind.kind] = kind
    return kind


def get_target(kind: str) -> type[Target]:
    """The class of a kind."""
    if kind not in TARGETS:
        raise ValueError(f"the kind of target {kind!r} is not known; known are {', '.join(TARGETS)}")
    return TARGETS[kind]
