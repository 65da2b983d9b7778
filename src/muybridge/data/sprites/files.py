"""Sprites as video files in class folders, with a table of them and all that is true of them: a data set like one from
a camera."""

import csv
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from muybridge.data.errors import DataError
from muybridge.data.sprites.rendering import render
from muybridge.data.sprites.scenes import Scene, make_scene
from muybridge.data.sprites.settings import SpriteSettings, get_label_id
from muybridge.data.sprites.sound import SAMPLE_RATE, make_sound
from muybridge.data.sprites.truths import make_truths, make_truths_in_words
from muybridge.data.targets import Target, write_targets
from muybridge.data.targets.arrays import ArrayTarget
from muybridge.files import replace_file, replace_text

if TYPE_CHECKING:
    from av.container import OutputContainer

SETTINGS_FILE = "sprites.json"
MANIFEST_FILE = "labels.csv"

# Nearly lossless. One thread, because more of them change what is written.
VIDEO_OPTIONS = {"crf": "14", "preset": "veryfast", "threads": "1"}
SOUND_CODEC = "flac"  # lossless

# What is too long for the table lies in files beside the video, by kind of target.
IN_LISTS, LISTS_SUFFIX = ("boxes", "questions"), ".json"
IN_ARRAYS, ARRAYS_SUFFIX = ("masks", "depth", "flow"), ".npz"


class SpriteFile(NamedTuple):
    """A row of the table. The group is the random source of a clip: two with the same one look alike."""

    path: str
    label: str
    split: str
    group: str
    frames: int
    fps: int


@dataclass(frozen=True)
class SpriteWriter:
    """Writes clips of a set into a folder."""

    folder: Path
    settings: SpriteSettings
    fps: int
    has_sound: bool
    has_truths: bool

    def write(self, index: int, file: SpriteFile) -> dict[str, Any]:
        """Writes a clip and what is true of it, unless it is there; returns the row of the table."""
        scene = make_scene(index, self.settings)
        path = self.folder / file.path
        if not path.exists():
            self.write_clip(path, scene)
        sound = {"path_sound": file.path} if self.has_sound else {}
        return {**file._asdict(), **sound, **(self.describe_truths(file, scene) if self.has_truths else {})}

    def write_clip(self, path: Path, scene: Scene) -> None:
        """Writes the files of a clip, the video last: where it is, the others are."""
        rendered = render(scene, self.settings.size)
        if self.has_truths:
            truths = make_truths(scene, rendered, self.settings)
            write_arrays(path.with_suffix(ARRAYS_SUFFIX), truths)
            write_lists(path.with_suffix(LISTS_SUFFIX), truths)
        write_video(path, rendered.frames, self.fps, make_sound(scene, self.fps) if self.has_sound else None)

    def describe_truths(self, file: SpriteFile, scene: Scene) -> dict[str, str]:
        """The cells of the table that tell what is true of a clip, or where it is written."""
        truths = make_truths_in_words(scene, self.settings)
        in_cells = {kind: target for kind, target in truths.items() if kind not in IN_LISTS}
        cells = {name: write_cell(value) for name, value in write_targets(in_cells).items()}
        lists = dict.fromkeys(IN_LISTS, Path(file.path).with_suffix(LISTS_SUFFIX).as_posix())
        arrays = dict.fromkeys(IN_ARRAYS, Path(file.path).with_suffix(ARRAYS_SUFFIX).as_posix())
        return {**cells, **lists, **arrays}


def write_sprites(
    folder: str | Path,
    num_clips: int = 800,
    *,
    fps: int = 16,
    test_share: float = 0.25,
    sound: bool = False,
    truths: bool = True,
    show_progress: bool = True,
    **settings: Any,
) -> list[SpriteFile]:
    """Writes clips 0 to `num_clips` of the set that `SpriteSettings(**settings)` describes.

    They come to lie at `folder/SPLIT/LABEL/NUMBER.mp4`, and `folder/labels.csv` lists them: it is written last, so
    where it is, all is there. Stopped and started again, or asked for more clips, it goes on where it was.

    sound: whether the files have a sound that goes with the motion.
    truths: whether all that is true of a clip is written beside it, for `load_videos` to read: boxes and questions in
        NUMBER.json; masks, depth and flow in NUMBER.npz; the rest in the table. Else the table has labels alone.
    """
    folder, chosen = Path(folder), SpriteSettings(**settings)
    check_arguments(num_clips, fps, test_share, chosen)
    notes = {"fps": fps, "test_share": test_share, "sound": sound, "truths": truths, **asdict(chosen)}
    claim_folder(folder, num_clips, notes)
    files = list(plan_files(num_clips, fps, test_share, chosen))
    writer = SpriteWriter(folder, chosen, fps, sound, truths)
    bar = tqdm(files, unit="clip", desc="sprites", disable=None if show_progress else True)
    write_manifest(folder / MANIFEST_FILE, [writer.write(index, file) for index, file in enumerate(bar)])
    return files


def check_arguments(num_clips: int, fps: int, test_share: float, settings: SpriteSettings) -> None:
    if num_clips < 1 or fps < 1:
        raise ValueError(f"num_clips is {num_clips} and fps {fps}; both must be 1 or more")
    if not 0 <= test_share < 1:
        raise ValueError(f"test_share is {test_share}; it must be 0 or more and less than 1")
    if settings.size % 2:
        raise ValueError(f"size is {settings.size}; video files have sides of an even number of pixels")


def claim_folder(folder: Path, num_clips: int, settings: dict[str, Any]) -> None:
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
        label = settings.labels[get_label_id(index, settings)]
        split = "test" if is_test(index // len(settings.labels), test_share) else "train"
        group = f"{settings.seed}-{index:06d}"
        yield SpriteFile(f"{split}/{label}/{index:06d}.mp4", label, split, group, settings.num_frames, fps)


def is_test(turn: int, share: float) -> bool:
    """Whether a turn, a clip of each class, is for testing: evenly spread, so that it holds for any number of clips."""
    return math.floor((turn + 1) * share) > math.floor(turn * share)


def write_arrays(path: Path, truths: dict[str, Target]) -> None:
    """Writes the masks, depth and flow of a clip to one NumPy file. Flow is in half precision: to 0.05 %."""
    arrays = {kind: target.values for kind, target in truths.items() if isinstance(target, ArrayTarget)}
    arrays["flow"] = np.asarray(arrays["flow"], dtype=np.float16)
    with replace_file(path) as partial:
        np.savez_compressed(partial, **arrays)  # type: ignore[arg-type]


def write_lists(path: Path, truths: dict[str, Target]) -> None:
    """Writes the boxes and questions of a clip to one JSON file."""
    lists = {kind: truths[kind].to_row()[kind] for kind in IN_LISTS}
    replace_text(path, json.dumps(lists, ensure_ascii=False))


def write_cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def write_video(path: Path, frames: NDArray[np.uint8], fps: int, sound: NDArray[np.float32] | None = None) -> None:
    """Writes frames (T, 3, H, W), and perhaps a sound (N,), as an MP4 file; it appears when it is complete."""
    import av

    with replace_file(path) as partial, av.open(str(partial), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps), options=VIDEO_OPTIONS)
        stream.height, stream.width = frames.shape[-2:]
        stream.pix_fmt = "yuv420p"
        sound_stream = None if sound is None else container.add_stream(SOUND_CODEC, rate=SAMPLE_RATE, layout="mono")
        for image in np.ascontiguousarray(frames.transpose(0, 2, 3, 1)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
        if sound_stream is not None and sound is not None:
            mux_sound(container, sound_stream, sound)


def mux_sound(container: "OutputContainer", stream: Any, sound: NDArray[np.float32]) -> None:
    """Adds samples (N,) in [-1, 1] to a file, as 16-bit numbers."""
    import av

    samples = np.round(sound * np.iinfo(np.int16).max).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_manifest(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with replace_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as table:
        writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
