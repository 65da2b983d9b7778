"""Sprites as video files in class folders, with a table of them: a data set like one from a camera."""

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
from torch import Tensor
from tqdm import tqdm

from muybridge.data.errors import DataError
from muybridge.data.sprites.clips import SpriteSettings, label_of, make_clip
from muybridge.files import replace_file, replace_text

SETTINGS_FILE = "sprites.json"
MANIFEST_FILE = "labels.csv"

# Nearly lossless. One thread, because more of them change what is written.
CODEC_OPTIONS = {"crf": "14", "preset": "veryfast", "threads": "1"}


class SpriteFile(NamedTuple):
    """A row of the table. The group is the random source of a clip: two with the same one look alike."""

    path: str
    label: str
    split: str
    group: str
    frames: int
    fps: int


def write_sprites(
    folder: str | Path,
    num_clips: int = 800,
    *,
    fps: int = 16,
    test_share: float = 0.25,
    show_progress: bool = True,
    **settings: Any,
) -> list[SpriteFile]:
    """Writes clips 0 to `num_clips` of the set that `SpriteSettings(**settings)` describes.

    They come to lie at `folder/SPLIT/LABEL/NUMBER.mp4`, and `folder/labels.csv` lists them: it is written last, so
    where it is, all is there. Stopped and started again, or asked for more clips, it goes on where it was.
    """
    folder, chosen = Path(folder), SpriteSettings(**settings)
    check_arguments(num_clips, fps, test_share, chosen)
    claim(folder, num_clips, {"fps": fps, "test_share": test_share, **asdict(chosen)})
    files = list(plan_files(num_clips, fps, test_share, chosen))
    for index, file in enumerate(tqdm(files, unit="clip", desc="sprites", disable=None if show_progress else True)):
        path = folder / file.path
        if not path.exists():
            write_video(path, make_clip(index, chosen).frames, fps)
    write_manifest(folder / MANIFEST_FILE, files)
    return files


def check_arguments(num_clips: int, fps: int, test_share: float, settings: SpriteSettings) -> None:
    if num_clips < 1 or fps < 1:
        raise ValueError(f"num_clips is {num_clips} and fps {fps}; both must be 1 or more")
    if not 0 <= test_share < 1:
        raise ValueError(f"test_share is {test_share}; it must be 0 or more and less than 1")
    if settings.size % 2:
        raise ValueError(f"size is {settings.size}; video files have sides of an even number of pixels")


def claim(folder: Path, num_clips: int, settings: dict[str, Any]) -> None:
    """Notes the settings in the folder; refuses one with other contents, or begun with other settings."""
    notes = folder / SETTINGS_FILE
    wanted = json.loads(json.dumps({"num_clips": num_clips, **settings}))
    if notes.exists():
        refuse_changes(folder, json.loads(notes.read_text(encoding="utf-8")), wanted)
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists already and holds no sprites; choose another place or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST_FILE).unlink(missing_ok=True)  # until all is there again
    replace_text(notes, json.dumps(wanted, indent=2) + "\n")


def refuse_changes(folder: Path, known: dict[str, Any], wanted: dict[str, Any]) -> None:
    changes = [
        f"{name} {known.get(name)} → {value}"
        for name, value in wanted.items()
        if (value < known[name] if name == "num_clips" else value != known.get(name))
    ]
    if changes:
        raise DataError(
            f"{folder} was begun with other settings ({', '.join(changes)}); use the same ones, with as many clips or "
            f"more, or choose another folder"
        )


def plan_files(num_clips: int, fps: int, test_share: float, settings: SpriteSettings) -> Iterator[SpriteFile]:
    for index in range(num_clips):
        label = settings.labels[label_of(index, settings)]
        split = "test" if is_test(index // len(settings.labels), test_share) else "train"
        group = f"{settings.seed}-{index:06d}"
        yield SpriteFile(f"{split}/{label}/{index:06d}.mp4", label, split, group, settings.num_frames, fps)


def is_test(turn: int, share: float) -> bool:
    """Whether a turn, a clip of each class, is for testing: evenly spread, so that it holds for any number of clips."""
    return math.floor((turn + 1) * share) > math.floor(turn * share)


def write_video(path: Path, frames: Tensor, fps: int) -> None:
    """Writes frames (T, 3, H, W) as H.264 in MP4; the file appears when it is complete."""
    with replace_file(path) as partial, av.open(str(partial), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps), options=CODEC_OPTIONS)
        stream.height, stream.width = frames.shape[-2:]
        stream.pix_fmt = "yuv420p"
        for image in frames.permute(0, 2, 3, 1).contiguous().numpy():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


def write_manifest(path: Path, files: list[SpriteFile]) -> None:
    with replace_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(SpriteFile._fields)
        writer.writerows(files)
