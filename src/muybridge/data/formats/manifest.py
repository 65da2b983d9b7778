"""A table of clips: CSV, TSV or JSON lines with the columns path, label, start_seconds, end_seconds, split, group.

Only `path` (or `file_name`, as `datasets` calls it) is required. Paths are relative to the table; further columns go to
`extra`.
"""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from muybridge.data.errors import DataError
from muybridge.data.formats.catalogue import Catalogue, Entry, Request, read_lines, sorted_labels
from muybridge.data.records import VideoRecord

PATH_COLUMNS = ("path", "file_name")
KNOWN_COLUMNS = (*PATH_COLUMNS, "label", "start_seconds", "end_seconds", "split", "group")
DELIMITERS = {".csv": ",", ".tsv": "\t"}
NAMES_IN_A_FOLDER = ("labels.csv", "manifest.csv", "manifest.jsonl", "metadata.csv", "metadata.jsonl")

Row = dict[str, Any]


def recognises(path: Path) -> bool:
    return table_of(path) is not None


def table_of(path: Path) -> Path | None:
    """The table itself, or the one that a folder holds under a usual name."""
    if path.is_dir():
        return next((path / name for name in NAMES_IN_A_FOLDER if (path / name).is_file()), None)
    return path if path.suffix.lower() in (*DELIMITERS, ".jsonl") else None


def read(request: Request) -> Catalogue:
    table = table_of(request.path)
    if table is None:
        raise DataError(f"{request.place} is no manifest; it must be a .csv, .tsv or .jsonl file, or a folder with one")
    resolver = PathResolver(request.videos or table.parent)
    entries = [read_row(row, origin, resolver) for origin, row in read_rows(table)]
    if not entries:
        raise DataError(f"{table} lists no clips")
    return Catalogue(entries, sorted_labels({entry.record.label for entry in entries if entry.record.label}))


def read_rows(table: Path) -> Iterator[tuple[str, Row]]:
    """Each row, after a text that says where it is."""
    if table.suffix.lower() == ".jsonl":
        yield from read_json_rows(table)
        return
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=DELIMITERS[table.suffix.lower()], skipinitialspace=True)
        require_path_column(reader.fieldnames or (), f"{table}, line 1")
        for row in reader:
            origin = f"{table}, line {reader.line_num}"
            if None in row:
                raise DataError(f"{origin}: there are more values than columns; quote a value that holds a comma")
            yield origin, {name: value.strip() or None if value else None for name, value in row.items()}


def read_json_rows(table: Path) -> Iterator[tuple[str, Row]]:
    for origin, line in read_lines(table):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{origin}: this is not JSON: {error.msg} at column {error.colno}") from error
        if not isinstance(row, dict):
            raise DataError(f'{origin}: this is {line[:40]!r}; each line must be an object such as {{"path": …}}')
        require_path_column(row, origin)
        yield origin, row


def require_path_column(columns: Any, origin: str) -> None:
    if not any(name in columns for name in PATH_COLUMNS):
        raise DataError(f"{origin}: there is no column 'path'; the columns are {', '.join(columns) or 'none'}")


def read_row(row: Row, origin: str, resolver: "PathResolver") -> Entry:
    path = next((row[name] for name in PATH_COLUMNS if row.get(name)), None)
    if path is None:
        raise DataError(f"{origin}: the path is empty")
    try:
        record = VideoRecord(
            resolver.resolve(str(path), origin),
            label=as_text(row.get("label")),
            start_seconds=as_number(row.get("start_seconds"), "start_seconds"),
            end_seconds=as_number(row.get("end_seconds"), "end_seconds"),
            split=as_text(row.get("split")),
            group=as_text(row.get("group")),
            extra={name: value for name, value in row.items() if name not in KNOWN_COLUMNS},
        )
    except DataError:
        raise
    except ValueError as error:
        raise DataError(f"{origin}: {error}") from error
    return Entry(record, origin)


class PathResolver:
    """Paths of a table as paths from here, each of which exists; addresses stay as they are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names: dict[Path, frozenset[str]] = {}

    def resolve(self, path: str, origin: str) -> str:
        if "://" in path:
            return path
        full = self.folder / path
        if full.name not in self._names_in(full.parent):
            raise DataError(f"{origin}: there is no file {full}; paths are relative to {self.folder}")
        return str(full)

    def _names_in(self, folder: Path) -> frozenset[str]:
        """The names in a folder; asking once a folder, not once a file, matters on network file systems."""
        if folder not in self._names:
            is_there = folder.is_dir()
            self._names[folder] = frozenset(path.name for path in folder.iterdir()) if is_there else frozenset()
        return self._names[folder]


def as_text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def as_number(value: Any, name: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {value!r}; it must be a number of seconds") from None
