"""Targets that are names: a label, a set of labels, the scene, the domain."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from muybridge.data.targets.base import NO_LABEL, Row, Target, find_number
from muybridge.data.targets.reading import check_name, parse_json
from muybridge.data.targets.registry import register_target

SEPARATOR = "|"  # between the labels of a set, where a cell holds them as text


@dataclass(frozen=True)
class NameTarget(Target):
    """One name out of several. In a batch: numbers (B,)."""

    name: str

    def __post_init__(self) -> None:
        check_name(self.name, f"the {self.kind}")

    @classmethod
    def read(cls, row: Row) -> Self | None:
        value = row.get(cls.kind)
        return None if value is None else cls(str(value))

    def to_row(self) -> dict[str, Any]:
        return {self.kind: self.name}

    @classmethod
    def encode(cls, target: Target | None, ids: Mapping[str, int]) -> int:
        return NO_LABEL if target is None else find_number(target.name, ids, cls.kind)  # type: ignore[attr-defined]

    @classmethod
    def collate(cls, encoded: Sequence[int]) -> Any:
        import torch

        return torch.tensor(encoded, dtype=torch.int64)

    def get_names(self) -> Iterable[str]:
        return (self.name,)


@register_target
@dataclass(frozen=True)
class Label(NameTarget):
    kind = "label"
    columns = ("label",)
    title = "what the clip shows: one label"


@register_target
@dataclass(frozen=True)
class Scene(NameTarget):
    kind = "scene"
    columns = ("scene",)
    title = "where it was filmed"


@register_target
@dataclass(frozen=True)
class Domain(NameTarget):
    kind = "domain"
    columns = ("domain",)
    title = "the kind of footage, such as a camera, a season or a data set"


@register_target
@dataclass(frozen=True)
class Labels(Target):
    """Several labels, or none of them. In a batch: `multi_hot` (B, L) of 0 and 1, `mask` (B,)."""

    kind = "labels"
    columns = ("labels",)
    title = f"a set of labels: a JSON list, or names with {SEPARATOR} between them"

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in self.names:
            check_name(name, "one of the labels")
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"the labels are {', '.join(self.names)}; each may be there once")
        object.__setattr__(self, "names", tuple(sorted(self.names)))  # a set, whose order tells nothing

    @classmethod
    def read(cls, row: Row) -> Self | None:
        value = parse_json(row.get("labels"))
        if value is None:
            return None
        if isinstance(value, str):
            value = [name.strip() for name in value.split(SEPARATOR)]
        if not isinstance(value, list | tuple):
            raise ValueError(f"labels is {value!r}; it must be a list, or names with {SEPARATOR} between them")
        return cls(tuple(str(name) for name in value))

    def to_row(self) -> dict[str, Any]:
        return {"labels": list(self.names)}

    @classmethod
    def encode(cls, target: Target | None, ids: Mapping[str, int]) -> dict[str, Any]:
        names = target.names if isinstance(target, Labels) else ()
        multi_hot = np.zeros(len(ids), dtype=np.float32)
        multi_hot[[find_number(name, ids, cls.kind) for name in names]] = 1
        return {"multi_hot": multi_hot, "mask": target is not None}

    @classmethod
    def collate(cls, encoded: Sequence[dict[str, Any]]) -> Any:
        import torch

        return {
            "multi_hot": torch.from_numpy(np.stack([each["multi_hot"] for each in encoded])),
            "mask": torch.tensor([each["mask"] for each in encoded]),
        }

    def get_names(self) -> Iterable[str]:
        return self.names
