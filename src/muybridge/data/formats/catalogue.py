"""What reading a data set gives in every format, and the checks that all formats share."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from muybridge.data.errors import DataError
from muybridge.data.records import VideoRecord

# The files that a folder of clips is searched for.
VIDEO_SUFFIXES = frozenset(
    {".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts"}
    | {".webm", ".wmv"}
)


@dataclass(frozen=True)
class Request:
    """Which data set to read. `videos` is where the clips lie, if not beside the lists; `fold` which of several
    official divisions into training and test to take; `targets` the kinds of targets to read, None for all."""

    place: str
    videos: Path | None = None
    fold: int = 1
    targets: tuple[str, ...] | None = None

    @property
    def path(self) -> Path:
        return Path(self.place)


@dataclass(frozen=True)
class Entry:
    """A record, and where it was read: a file and line that errors can name."""

    record: VideoRecord
    origin: str


@dataclass(frozen=True)
class Catalogue:
    """All that a data set says of itself. `names` are those of targets, by kind, where it tells their order."""

    entries: Sequence[Entry]
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    absent: Sequence[str] = ()
    stores: Mapping[str, Any] = field(default_factory=dict)


def is_video_file(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES  # noqa: PTH122 - no object a file


def find_video_files(folder: Path) -> Iterator[Path]:
    """Every video under a folder, in the order of the names; hidden folders may hold half-written files."""
    for directory, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if is_video_file(name):
                yield Path(directory, name)


class VideoFinder:
    """Finds the clips of a published list by their names without ending, wherever they lie under a folder.

    Data sets are unpacked in many ways: flat, in a folder a class, re-encoded to another container.
    """

    def __init__(self, request: Request) -> None:
        beside = request.path if request.path.is_dir() else request.path.parent
        folders = [request.videos] if request.videos else [beside, beside.absolute().parent]
        for folder in folders:
            self.paths = {path.stem: str(path) for path in reversed(list(find_video_files(folder)))}
            if self.paths:
                return
        raise DataError(
            f"{request.place} names clips, and there are no videos under {' or '.join(map(str, folders))}; "
            f"say where they are with `videos`"
        )

    def find(self, name: str) -> str | None:
        return self.paths.get(name)


def require_none_absent(absent: Sequence[tuple[str, str]]) -> None:
    """Raises where a list names clips that are not there: pairs of a file with its line, and a clip."""
    if absent:
        origin, name = absent[0]
        others = f", nor are {len(absent) - 1} more of the list" if len(absent) > 1 else ""
        raise DataError(f"{origin}: there is no {name}{others}")


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line that is not empty, after a text that says where it is."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not text in UTF-8: {error.reason} at byte {error.start}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield f"{path}, line {number}", line.strip()
