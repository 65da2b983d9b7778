"""A table of clips: CSV, TSV, or JSON lines, with these columns. Only the first is required.

- `path`, or `file_name` as `datasets` calls it: the video. Paths are relative to the table.
- `path_NAME`: a further source in step with it, such as `path_sound` or `path_infrared`.
- `start_seconds`, `end_seconds`: the part of the sources that is the clip; empty is their beginning and their end.
- `split`, such as "train"; `group`, which clips of the same footage share.
- `label`, `labels`, `boxes`, `caption`, …: what is known of the clip, a column or more for each kind of target, see
  `TARGETS`. Lists and objects are JSON, also in a cell. What is large lies in a file beside the table, and the column
  names it: NumPy files for masks, depth and flow, JSON files for boxes and questions if one likes.

Other columns go to `extra`.
"""

import csv
import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from muybridge.data.errors import DataError
from muybridge.data.formats.catalogue import Catalogue, Entry, Request, read_lines
from muybridge.data.records import MAIN_SOURCE, VideoRecord
from muybridge.data.targets import read_targets
from muybridge.data.targets.base import Row
from muybridge.data.targets.rows import get_target_columns

PATH_COLUMNS = ("path", "file_name")
SOURCE_PREFIX = "path_"
OWN_COLUMNS = (*PATH_COLUMNS, "start_seconds", "end_seconds", "split", "group")
DELIMITERS = {".csv": ",", ".tsv": "\t"}
NAMES_IN_A_FOLDER = ("labels.csv", "manifest.csv", "manifest.jsonl", "metadata.csv", "metadata.jsonl")

Cells = dict[str, Any]


def recognises(path: Path) -> bool:
    return find_table(path) is not None


def find_table(path: Path) -> Path | None:
    """The table itself, or the one that a folder holds under a usual name."""
    if path.is_dir():
        return next((path / name for name in NAMES_IN_A_FOLDER if (path / name).is_file()), None)
    return path if path.suffix.lower() in (*DELIMITERS, ".jsonl") else None


def read(request: Request) -> Catalogue:
    table = find_table(request.path)
    if table is None:
        raise DataError(f"{request.place} is no manifest; it must be a .csv, .tsv or .jsonl file, or a folder with one")
    reader = RowReader(PathResolver(request.videos or table.parent), request.targets)
    entries = [reader.read(row, origin) for origin, row in read_rows(table)]
    if not entries:
        raise DataError(f"{table} lists no clips")
    return Catalogue(entries)


def read_rows(table: Path) -> Iterator[tuple[str, Cells]]:
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


def read_json_rows(table: Path) -> Iterator[tuple[str, Cells]]:
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


class RowReader:
    """Makes records of the rows of a table, with the targets of some kinds or, for None, of all."""

    def __init__(self, resolver: "PathResolver", kinds: Collection[str] | None) -> None:
        self.resolver = resolver
        self.kinds = kinds
        self.known = {*OWN_COLUMNS, *get_target_columns(kinds)}

    def read(self, cells: Cells, origin: str) -> Entry:
        """The record of a row; the columns that say nothing of a source or a target go to its `extra`."""
        path = next((cells[name] for name in PATH_COLUMNS if cells.get(name)), None)
        if path is None:
            raise DataError(f"{origin}: the path is empty")
        try:
            record = VideoRecord(
                sources={MAIN_SOURCE: self.resolver.resolve(path), **self.read_further_sources(cells)},
                targets=read_targets(Row(cells, self.resolver.resolve), self.kinds),
                start_seconds=parse_number(cells.get("start_seconds"), "start_seconds"),
                end_seconds=parse_number(cells.get("end_seconds"), "end_seconds"),
                split=parse_text(cells.get("split")),
                group=parse_text(cells.get("group")),
                extra={name: value for name, value in cells.items() if not self.is_known(name)},
            )
        except ValueError as error:
            raise DataError(f"{origin}: {error}") from error
        return Entry(record, origin)

    def read_further_sources(self, cells: Cells) -> dict[str, str]:
        """The sources beside the video, by name."""
        paths = {name: path for name, path in cells.items() if name.startswith(SOURCE_PREFIX) and path}
        return {name.removeprefix(SOURCE_PREFIX): self.resolver.resolve(path) for name, path in paths.items()}

    def is_known(self, column: str) -> bool:
        return column in self.known or column.startswith(SOURCE_PREFIX)


class PathResolver:
    """Makes the paths of a table, each of which must exist, paths from here; addresses stay as they are."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self._names: dict[str, frozenset[str]] = {}

    def resolve(self, path: Any) -> str:
        path = str(path)
        if "://" in path:
            return path
        if "./" in path or "//" in path:  # one file has one name, also where a table spells it in two ways
            path = str(Path(path))
        full = os.path.join(self.folder, path)  # noqa: PTH118 - an object a row would take most of the time
        folder, name = os.path.split(full)
        if name not in self._list_names(folder):
            raise DataError(f"there is no file {full}; paths are relative to {self.folder}")
        return full

    def _list_names(self, folder: str) -> frozenset[str]:
        """The names in a folder; asking once a folder, not once a file, matters on network file systems."""
        if folder not in self._names:
            path = Path(folder)
            self._names[folder] = frozenset(each.name for each in path.iterdir()) if path.is_dir() else frozenset()
        return self._names[folder]


def parse_text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def parse_number(value: Any, name: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {value!r}; it must be a number of seconds") from None
