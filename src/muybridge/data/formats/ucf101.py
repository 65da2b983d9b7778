"""UCF101's official lists: `classInd.txt`, `trainlist01.txt` … `testlist03.txt` (https://arxiv.org/abs/1212.0402)."""

import re
from pathlib import Path

from muybridge.data.errors import DataError
from muybridge.data.formats.catalogue import Catalogue, Entry, Request, VideoFinder, read_lines, require_none_absent
from muybridge.data.records import VideoRecord


def recognises(path: Path) -> bool:
    return (path / "classInd.txt").is_file()


def read(request: Request) -> Catalogue:
    """The clips of both lists of a fold; a group is footage of one person or place."""
    finder = VideoFinder(request)
    labels = read_class_index(request.path / "classInd.txt")
    entries: list[Entry] = []
    absent: list[tuple[str, str]] = []
    for split in ("train", "test"):
        for origin, line in read_lines(find_fold_list(request, split)):
            label, _, name = line.split()[0].partition("/")  # in the training lists the label's number follows
            if label not in labels:
                raise DataError(f"{origin}: the label {label!r} is not in classInd.txt")
            path = finder.find(Path(name).stem)
            if path is None:
                absent.append((origin, f"{label}/{name}"))
                continue
            record = VideoRecord(path, label=label, split=split, group=read_group(name))
            entries.append(Entry(record, origin))
    require_none_absent(absent)
    return Catalogue(entries, {"label": labels})


def find_fold_list(request: Request, split: str) -> Path:
    path = request.path / f"{split}list{request.fold:02}.txt"
    if not path.is_file():
        known = sorted(int(found.stem[-2:]) for found in request.path.glob(f"{split}list*.txt"))
        raise DataError(f"fold is {request.fold}, and there is no {path}; the folds are {known}")
    return path


def read_class_index(path: Path) -> list[str]:
    """The labels in the order of their numbers, which start at 1."""
    labels = []
    for number, (origin, line) in enumerate(read_lines(path), start=1):
        words = line.split()
        if len(words) != 2 or words[0] != str(number):
            raise DataError(f"{origin}: this is {line!r}; it must be {number} and a label")
        labels.append(words[1])
    return labels


def read_group(name: str) -> str | None:
    """`ApplyEyeMakeup_g08` of `v_ApplyEyeMakeup_g08_c01.avi`: each class numbers its groups from 1."""
    match = re.match(r"v_(.+_g\d+)_c\d+", name)
    return match[1] if match else None
