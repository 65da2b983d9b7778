"""The tables of README.md, made from the registry and from measured results: `python -m muybridge.tables README.md`."""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

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
            "trained on": ", ".join(source.datasets),
            "licence": source.licence,
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


TABLES: dict[str, Callable[[], list[Row]]] = {"architectures": architecture_rows, "sources": source_rows}


def fill_tables(text: str) -> str:
    """`text` with every table between `<!-- table: NAME -->` and `<!-- end -->` made anew."""
    for name, rows in TABLES.items():
        marker = rf"(<!-- table: {name} -->\n).*?(<!-- end -->)"
        text, count = re.subn(marker, rf"\1{markdown_table(rows())}\n\2", text, flags=re.DOTALL)
        if count != 1:
            raise ValueError(f"the text has {count} places for the table {name!r}; it needs one")
    return text


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(fill_tables(path.read_text(encoding="utf-8")), encoding="utf-8")
