"""Lists the architectures, and the sources whose weights `muybridge convert` reads."""

import argparse
import json
import sys

from muybridge.cli.arguments import add_json

Row = dict[str, str]


def configure(parser: argparse.ArgumentParser) -> None:
    form = parser.add_mutually_exclusive_group()
    add_json(form)
    form.add_argument("--markdown", action="store_true", help="as the tables in README.md")


def run(arguments: argparse.Namespace) -> int:
    from muybridge.text import make_markdown_table, make_text_table

    tables = {"architectures": architecture_rows(), "sources": source_rows()}
    if arguments.json:
        json.dump(tables, sys.stdout, indent=2, ensure_ascii=False)
        print()
    else:
        table = make_markdown_table if arguments.markdown else make_text_table
        print("\n\n".join(table(rows) for rows in tables.values()))
    return 0


def architecture_rows() -> list[Row]:
    from muybridge.models.registry import ARCHITECTURES

    return [
        {
            "architecture": architecture.title,
            "model_type": architecture.name,
            "input": architecture.input_size,
            "papers": "; ".join(f"{paper.title} ({paper.year})" for paper in architecture.papers),
        }
        for architecture in ARCHITECTURES.values()
    ]


def source_rows() -> list[Row]:
    from muybridge.conversion.recipe import load_recipes
    from muybridge.models.registry import get_architecture

    return [
        {
            "source": recipe.source,
            "architecture": get_architecture(recipe.architecture).title,
            "trained on": ", ".join(recipe.datasets),
            "licence": recipe.licence,
        }
        for recipe in load_recipes().values()
    ]
