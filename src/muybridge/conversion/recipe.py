"""Where the weights of a source are published, and what is known of them: the files of `recipes/`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """What is known of one published file of weights. See conversion/README.md for the fields."""

    source: str
    architecture: str
    title: str
    address: str
    file_name: str
    licence: str
    datasets: list[str]
    num_labels: int
    num_parameters: int
    checked_by: str
    note: str
    command: str
    citation: str
    paper: Mapping[str, Any]
    results: list[dict[str, Any]] = field(default_factory=list)
    labels: str | None = None
    size_mebibytes: float | None = None
    sha256_prefix: str | None = None
    gflops: float | None = None


@cache
def load_recipe(source: str) -> Recipe:
    return read_recipe(FOLDER / f"{source.replace('/', '_')}.toml")


def load_recipes() -> dict[str, Recipe]:
    """Every recipe by the name of its source."""
    recipes = map(read_recipe, sorted(FOLDER.glob("*.toml")))
    return {recipe.source: recipe for recipe in recipes}


def read_recipe(path: Path) -> Recipe:
    return Recipe(**tomllib.loads(path.read_text(encoding="utf-8")))
