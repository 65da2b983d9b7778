"""Lists the architectures, and the sources whose weights `muybridge convert` reads."""

import argparse
import json
import sys

from muybridge.markdown import markdown_table
from muybridge.tables import architecture_rows, source_rows, text_table


def configure(parser: argparse.ArgumentParser) -> None:
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs")
    form.add_argument("--markdown", action="store_true", help="as the tables in README.md")


def run(arguments: argparse.Namespace) -> int:
    tables = {"architectures": architecture_rows(), "sources": source_rows()}
    if arguments.json:
        json.dump(tables, sys.stdout, indent=2, ensure_ascii=False)
        print()
    else:
        table = markdown_table if arguments.markdown else text_table
        print("\n\n".join(table(rows) for rows in tables.values()))
    return 0
