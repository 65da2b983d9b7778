"""Reads the evaluation results that a card states in its front matter, in the `model-index` of the Hugging Face Hub."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from muybridge_hub.pages.formatting import format_percent

MAX_RESULTS = 500

# Metrics with these words in their names are fractions: stated between 0 and 1, or in percent.
FRACTION_WORDS = frozenset({"accuracy", "hit", "top", "map", "ap", "precision", "recall", "f1", "auc", "calibration"})


class Benchmark(NamedTuple):
    """The data and the protocol of a measurement. Results of the same benchmark can be compared."""

    data: str
    protocol: str
    stated_in: str


class Result(NamedTuple):
    """The value of a metric."""

    metric: str
    value: float
    fraction: float | None  # the value between 0 and 1, if the metric is a fraction

    def __str__(self) -> str:
        return f"{self.value:.4g}" if self.fraction is None else format_percent(self.fraction)


def read_results(facts: Mapping[str, Any]) -> dict[Benchmark, list[Result]]:
    """Reads all valid results of a card, in its order, by their benchmark."""
    results: dict[Benchmark, list[Result]] = {}
    for count, (benchmark, result) in enumerate(iterate_results(facts)):
        if count == MAX_RESULTS:
            break
        results.setdefault(benchmark, []).append(result)
    return results


def read_first_result(facts: Mapping[str, Any]) -> tuple[Benchmark, Result] | None:
    """Reads the first valid result of a card."""
    return next(iterate_results(facts), None)


def iterate_results(facts: Mapping[str, Any]) -> Iterator[tuple[Benchmark, Result]]:
    for model in as_list(as_mapping(facts.get("card")).get("model-index")):
        for result in as_list(as_mapping(model).get("results")):
            dataset = as_mapping(as_mapping(result).get("dataset"))
            for metric in map(as_mapping, as_list(as_mapping(result).get("metrics"))):
                value = metric.get("value")
                if isinstance(value, int | float) and not isinstance(value, bool):
                    yield make_benchmark(dataset, metric), make_result(metric, value)


def make_benchmark(dataset: Mapping[str, Any], metric: Mapping[str, Any]) -> Benchmark:
    name = as_text(dataset.get("name")) or as_text(dataset.get("type")) or "data without a name"
    arguments = as_mapping(metric.get("args"))
    data = f"{name} {as_text(dataset.get('split'))}".strip()
    return Benchmark(data, as_text(arguments.get("protocol")), as_text(arguments.get("stated_in")))


def make_result(metric: Mapping[str, Any], value: float) -> Result:
    kind, name = as_text(metric.get("type")), as_text(metric.get("name"))
    is_fraction = 0 <= value <= 100 and not FRACTION_WORDS.isdisjoint(re.split(r"[^a-z0-9]+", f"{kind} {name}".lower()))
    fraction = (value if value <= 1 else value / 100) if is_fraction else None
    return Result(name or kind or "unnamed metric", value, fraction)


def as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def as_text(value: Any) -> str:
    return value[:300] if isinstance(value, str) else ""
