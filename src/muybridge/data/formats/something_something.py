"""Something-Something: `labels.json` and a JSON list of {"id", "template"} a split (https://arxiv.org/abs/1706.04261)."""

import json
from pathlib import Path
from typing import Any

from muybridge.data.errors import DataError
from muybridge.data.formats.catalogue import Catalogue, Entry, Request, VideoFinder, require_none_absent
from muybridge.data.records import VideoRecord


def recognises(path: Path) -> bool:
    return (find_folder(path) / "labels.json").is_file() and bool(find_lists(path))


def find_folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def find_lists(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix == ".json" and read_split(path) else []
    return sorted(found for found in path.glob("*.json") if read_split(found))


def read_split(path: Path) -> str | None:
    """`train` of `something-something-v2-train.json`; None of other files, such as `labels.json`."""
    split = path.stem.rpartition("-")[2]
    return split if split in ("train", "validation", "test") else None


def read(request: Request) -> Catalogue:
    labels = read_labels(find_folder(request.path) / "labels.json")
    finder = VideoFinder(request)
    entries: list[Entry] = []
    absent: list[tuple[str, str]] = []
    for path in find_lists(request.path):
        for number, row in enumerate(read_json(path), start=1):
            origin = f"{path}, entry {number}"
            record = make_record(row, origin, finder, read_split(path))
            if record is None:
                absent.append((origin, f"clip {row['id']}"))
            else:
                entries.append(Entry(record, origin))
    require_none_absent(absent)
    return Catalogue(entries, {"label": labels})


def make_record(row: dict[str, Any], origin: str, finder: VideoFinder, split: str | None) -> VideoRecord | None:
    """The record of an entry; None where its clip is not there. The test list has no labels."""
    if "id" not in row:
        raise DataError(f"{origin}: there is no 'id'; the entry has {', '.join(row)}")
    path = finder.find(str(row["id"]))
    if path is None:
        return None
    template = row.get("template")
    label = template.replace("[", "").replace("]", "") if template else None
    extra: dict[str, Any] = {name: row[name] for name in ("label", "placeholders") if name in row}
    return VideoRecord(path, label=label, split=split, extra=extra)


def read_labels(path: Path) -> list[str]:
    """The labels in the order of their numbers."""
    numbers = read_json(path)
    return sorted(numbers, key=lambda label: int(numbers[label]))


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: this is not JSON: {error.msg}") from error
