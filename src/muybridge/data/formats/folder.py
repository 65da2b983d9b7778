"""A folder of class folders, or of splits of class folders: `[train/]wave/clip.mp4`."""

from collections.abc import Iterator
from pathlib import Path

from muybridge.data.errors import DataError
from muybridge.data.formats.catalogue import Catalogue, Entry, Request, find_video_files, is_video_file
from muybridge.data.records import VideoRecord

SPLIT_NAMES = frozenset({"train", "training", "val", "valid", "validation", "test", "testing", "eval"})


def recognises(path: Path) -> bool:
    return path.is_dir()


def read(request: Request) -> Catalogue:
    folder = request.path
    names = {path.name.lower() for path in list_subfolders(folder)}
    if names and names <= SPLIT_NAMES:
        entries = [entry for part in list_subfolders(folder) for entry in read_classes(part, part.name)]
    else:
        entries = list(read_classes(folder, None))
    if not entries:
        raise DataError(f"{folder} holds no videos; it must hold one folder a class, with clips in it")
    return Catalogue(entries)


def read_classes(folder: Path, split: str | None) -> Iterator[Entry]:
    """The clips of each class folder; those that lie beside the class folders have no label."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and is_video_file(path.name):
            yield Entry(VideoRecord(str(path), split=split), str(path))
    for class_folder in list_subfolders(folder):
        clips = list(find_video_files(class_folder))
        if not clips:
            raise DataError(f"the class folder {class_folder} holds no videos; add clips or remove it")
        for path in clips:
            yield Entry(VideoRecord(str(path), label=class_folder.name, split=split), str(path))


def list_subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
