"""Where a source's weights are published and what is known of them: the files of `conversion/`, which travel along."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from muybridge.cards import Number
from muybridge.models.registry import Paper

FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """What is known of one published file of weights. See conversion/README.md for the fields."""

    source: str
    title: str
    address: str
    file_name: str
    licence: str
    datasets: list[str]
    num_labels: int
    num_parameters: int
    note: str
    command: str
    citation: str
    paper: Mapping[str, Any]
    results: list[dict[str, Any]] = field(default_factory=list)
    labels: str | None = None
    size_mebibytes: float | None = None
    sha256_prefix: str | None = None
    gflops: float | None = None

    def get_paper(self) -> Paper:
        return Paper(self.paper["title"], ", ".join(self.paper["authors"]), self.paper["year"], self.paper["url"])

    def get_numbers(self) -> list[Number]:
        """The publisher's results."""
        return [
            Number(
                result["dataset"], "", result["metric"], round(result["value"] / 100, 6), result["protocol"],
                stated_in=result["where"],
            )
            for result in self.results
        ]  # fmt: skip


@cache
def load_recipe(source: str) -> Recipe:
    path = FOLDER / f"{source.replace('/', '_')}.toml"
    return Recipe(**tomllib.loads(path.read_text(encoding="utf-8")))
