"""The tables of README.md, made from the registry and from measured results: `python -m muybridge.tables README.md`."""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from muybridge.conversion import SOURCES
from muybridge.models import ARCHITECTURES

Row = dict[str, str]


def architecture_rows() -> list[Row]:
    return [
        {
            "architecture": architecture.title,
            "model_type": architecture.name,
            "input": f"{config.num_frames}×{config.image_size}×{config.image_size}",
            "papers": "; ".join(f"{paper.title} ({paper.year})" for paper in architecture.papers),
        }
        for architecture in ARCHITECTURES.values()
        for config in [architecture.config()]
    ]


def source_rows() -> list[Row]:
    return [
        {
            "source": source.name,
            "architecture": source.architecture.title,
            "trained on": ", ".join(source.recipe.datasets),
            "licence": source.recipe.licence,
        }
        for source in SOURCES.values()
    ]


def markdown_table(rows: Sequence[Row]) -> str:
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *(list(row.values()) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def text_table(rows: Sequence[Row]) -> str:
    """Columns for a terminal; the last one is as wide as it is."""
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def forward_rows(results: Mapping[str, Any]) -> list[Row]:
    return [
        {
            "network": f"{network}, {batch}",
            "plain": f"{variants['plain']['ms']:.0f} ms",
            "`optimize(exact=True)`": times(variants["exact"]["times_faster"]),
            "`optimize`": times(variants["optimized"]["times_faster"]),
            "of the matrix product's speed": f"{variants['optimized']['share_of_matrix_product']:.0%}",
        }
        for network, batches in results["networks"].items()
        for batch, variants in batches.items()
        if batch.startswith("batch")
    ]


def decoding_rows(results: Mapping[str, Any]) -> list[Row]:
    measured = {name: values for name, values in results.items() if isinstance(values, dict) and "seconds" in values}
    others = dict.fromkeys(other for values in measured.values() for other in values["times_faster_than"])
    return [
        {
            "decoding": name,
            "ours": f"{1000 * values['seconds']['muybridge']:.0f} ms",
            **{f"than {other}": times(values["times_faster_than"].get(other)) for other in others},
        }
        for name, values in measured.items()
    ]


def end_to_end_rows(results: Mapping[str, Any]) -> list[Row]:
    return [
        {"fifty clips to labels": name, "seconds": f"{seconds:.1f}", "times": times(results["times_faster"][name])}
        for name, seconds in results["seconds"].items()
    ]


def times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.1f}×"


TABLES: dict[str, Callable[[], list[Row]]] = {"architectures": architecture_rows, "sources": source_rows}
MEASURED: dict[str, Callable[[Mapping[str, Any]], list[Row]]] = {
    "forward": forward_rows,
    "decoding": decoding_rows,
    "end_to_end": end_to_end_rows,
}


def fill_tables(text: str, results: Path) -> str:
    """`text` with every table between `<!-- table: NAME -->` and `<!-- end -->` made anew.

    `results` is the folder in which the benchmarks leave what they measured.
    """
    for name, rows in TABLES.items():
        text = fill_table(text, name, rows())
    for name, rows_of in MEASURED.items():
        text = fill_table(text, name, rows_of(json.loads((results / f"{name}.json").read_text(encoding="utf-8"))))
    return text


def fill_table(text: str, name: str, rows: Sequence[Row]) -> str:
    marker = rf"(<!-- table: {name} -->\n).*?(<!-- end -->)"
    text, count = re.subn(marker, rf"\1{markdown_table(rows)}\n\2", text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"the text has {count} places for the table {name!r}; it needs one")
    return text


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        filled = fill_tables(path.read_text(encoding="utf-8"), path.parent / "benchmarks" / "results")
        path.write_text(filled, encoding="utf-8")
