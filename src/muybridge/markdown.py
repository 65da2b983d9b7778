"""Markdown, as cards and the README have it."""

from collections.abc import Iterable, Mapping, Sequence


def markdown_table(rows: Sequence[Mapping[str, str]]) -> str:
    """A line for each row, under the names of the first one's columns."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([cell(value) for value in row.values()] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(text: str) -> str:
    """A text that stays within its cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
