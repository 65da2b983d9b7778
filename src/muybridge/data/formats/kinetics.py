"""Kinetics' lists: label, youtube_id, time_start, time_end, split; clips are named `id_000010_000020.mp4`.

Clips vanish from the web, so each copy of the data lacks some: those that are not there are listed in `absent`.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from muybridge.data.errors import DataError
from muybridge.data.formats.catalogue import Catalogue, Entry, Request, VideoFinder
from muybridge.data.formats.manifest import parse_number
from muybridge.data.records import VideoRecord
from muybridge.data.targets.base import sort_names

REQUIRED_COLUMNS = ("youtube_id", "time_start", "time_end")


def recognises(path: Path) -> bool:
    return bool(find_lists(path))


def find_lists(path: Path) -> list[Path]:
    """The tables with a column `youtube_id`."""
    tables = sorted(path.glob("*.csv")) if path.is_dir() else [path] if path.suffix.lower() == ".csv" else []
    return [table for table in tables if "youtube_id" in read_header(table)]


def read_header(table: Path) -> list[str]:
    with table.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return next(csv.reader(file), [])


def read(request: Request) -> Catalogue:
    tables = find_lists(request.path)
    if not tables:
        raise DataError(f"{request.place} holds no table with a column 'youtube_id'")
    finder = VideoFinder(request)
    entries: list[Entry] = []
    absent: list[str] = []
    labels: set[str] = set()
    for table in tables:
        for origin, row in read_rows(table):
            name = make_clip_name(row, origin)
            path = finder.find(name) or finder.find(row["youtube_id"])
            labels.update([row["label"]] if row.get("label") else [])
            if path is None:
                absent.append(name)
            else:
                entries.append(Entry(make_record(row, path, table), origin))
    if not entries:
        raise DataError(f"none of the {len(absent)} clips that {request.place} lists is there, such as {absent[:1]}")
    return Catalogue(entries, {"label": sort_names(labels)}, absent)


def read_rows(table: Path) -> Iterator[tuple[str, dict[str, str]]]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in REQUIRED_COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise DataError(f"{table}, line 1: there is no column {', '.join(missing)}")
        for row in reader:
            yield f"{table}, line {reader.line_num}", row


def make_clip_name(row: dict[str, str], origin: str) -> str:
    try:
        start, end = (int(parse_number(row[name], name) or 0) for name in ("time_start", "time_end"))
    except ValueError as error:
        raise DataError(f"{origin}: {error}") from error
    return f"{row['youtube_id']}_{start:06}_{end:06}"


def make_record(row: dict[str, str], path: str, table: Path) -> VideoRecord:
    """The record of a clip, which was cut when it was downloaded: its times are those of the source."""
    return VideoRecord(
        path,
        label=row.get("label") or None,
        split=row.get("split") or table.stem,
        group=row["youtube_id"],
        extra={name: row[name] for name in ("time_start", "time_end")},
    )
