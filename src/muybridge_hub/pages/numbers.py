"""The numbers that a card states in its front matter, as the Hub's `model-index` has them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from muybridge_hub.pages.formatting import format_share

MAX_NUMBERS = 500

# Words in the names of those numbers that are shares: of one, or in percent.
SHARES = frozenset({"accuracy", "hit", "top", "map", "ap", "precision", "recall", "f1", "auc", "calibration"})


class Place(NamedTuple):
    """What numbers that can be compared have in common: the data, and how it was measured."""

    data: str
    protocol: str
    stated_in: str


class Number(NamedTuple):
    metric: str
    value: float
    share: float | None

    def __str__(self) -> str:
        return f"{self.value:.4g}" if self.share is None else format_share(self.share)


def read_numbers(facts: Mapping[str, Any]) -> dict[Place, list[Number]]:
    """All of a card's numbers that can be understood, in its order."""
    numbers: dict[Place, list[Number]] = {}
    for count, (place, number) in enumerate(find_numbers(facts)):
        if count == MAX_NUMBERS:
            break
        numbers.setdefault(place, []).append(number)
    return numbers


def read_headline(facts: Mapping[str, Any]) -> tuple[Place, Number] | None:
    """The first of a card's numbers."""
    return next(find_numbers(facts), None)


def find_numbers(facts: Mapping[str, Any]) -> Iterator[tuple[Place, Number]]:
    for model in as_list(as_mapping(facts.get("card")).get("model-index")):
        for result in as_list(as_mapping(model).get("results")):
            dataset = as_mapping(as_mapping(result).get("dataset"))
            for metric in map(as_mapping, as_list(as_mapping(result).get("metrics"))):
                value = metric.get("value")
                if isinstance(value, int | float) and not isinstance(value, bool):
                    yield place_of(dataset, metric), number_of(metric, value)


def place_of(dataset: Mapping[str, Any], metric: Mapping[str, Any]) -> Place:
    name = as_text(dataset.get("name")) or as_text(dataset.get("type")) or "data that are not named"
    how = as_mapping(metric.get("args"))
    data = f"{name} {as_text(dataset.get('split'))}".strip()
    return Place(data, as_text(how.get("protocol")), as_text(how.get("stated_in")))


def number_of(metric: Mapping[str, Any], value: float) -> Number:
    kind, name = as_text(metric.get("type")), as_text(metric.get("name"))
    is_share = 0 <= value <= 100 and not SHARES.isdisjoint(re.split(r"[^a-z0-9]+", f"{kind} {name}".lower()))
    share = (value if value <= 1 else value / 100) if is_share else None
    return Number(name or kind or "a number", value, share)


def as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def as_text(value: Any) -> str:
    return value[:300] if isinstance(value, str) else ""
