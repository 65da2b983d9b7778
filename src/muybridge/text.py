"""Texts for people: lists of names in messages, tables for a terminal, Markdown for cards and documents."""

from collections.abc import Iterable, Mapping, Sequence


def shorten(names: Sequence[str], limit: int = 5) -> str:
    """The first few names, and how many more there are."""
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")


def make_markdown_table(rows: Sequence[Mapping[str, str]]) -> str:
    """A line for each row, under the names of the first one's columns."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([escape_cell(value) for value in row.values()] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def escape_cell(text: str) -> str:
    """A text that stays within its cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def make_bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def make_text_table(rows: Sequence[Mapping[str, str]]) -> str:
    """Columns for a terminal; the last one is as wide as it is."""
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
