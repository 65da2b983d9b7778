"""Frames at a short side of 128: ours against what transformers' pipeline does, ffmpeg, decord and OpenCV.

`transformers` decodes from the start with PyAV, converts every frame that is wanted to RGB at full size, keeps them
all, and then resizes each.
`transformers again` is the same at once a second time: the first call pays for memory, 1.9 GB for 300 frames of 1080p,
that the machine has to find and clear, and the second finds it as the first left it.
`bare PyAV` decodes and converts nothing: no reader on top of libavcodec can be faster on the whole file.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
import torch.nn.functional as F
from benchmarks.clips import write_realistic_clip
from benchmarks.common import time_in_turn
from transformers.pipelines.video_classification import read_video_pyav

from muybridge.video import VideoReader, sample_uniform

SIZES = {"240p": (240, 320), "1080p": (1080, 1920)}
SECONDS, NUM_FRAMES, SHORT_SIDE = 10, 16, 128
OURS = "muybridge"

Task = Callable[[Path], object]


def run() -> dict[str, Any]:
    results: dict[str, Any] = {"what": f"H.264, {SECONDS} s at 30 frames a second, to a short side of {SHORT_SIDE}"}
    with tempfile.TemporaryDirectory() as folder:
        for name, (height, width) in SIZES.items():
            path = write_realistic_clip(Path(folder) / f"{name}.mp4", height, width, SECONDS)
            results[f"{NUM_FRAMES} uniform frames of {name}"] = compare(few_frames_tasks(), path)
            results[f"all frames of {name}"] = compare(all_frames_tasks(), path)
    return results


def compare(tasks: dict[str, Task], path: Path) -> dict[str, Any]:
    seconds = time_in_turn({name: lambda task=task: task(path) for name, task in tasks.items()}, rounds=5)
    ours = seconds[OURS]
    return {
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
        "times_faster_than": {name: round(value / ours, 2) for name, value in seconds.items() if name != OURS},
    }


def few_frames_tasks() -> dict[str, Task]:
    tasks: dict[str, Task] = {OURS: few_by_us}
    if find_spec("decord"):
        tasks["decord"] = lambda path: by_decord(path, uniform_numbers(path))
    if find_spec("cv2"):
        tasks["opencv"] = lambda path: by_opencv(path, set(uniform_numbers(path)))
    return tasks | transformers_tasks(uniform_numbers)


def all_frames_tasks() -> dict[str, Task]:
    everything = range(SECONDS * 30)
    tasks: dict[str, Task] = {
        OURS: all_by_us,
        "bare PyAV": decode_only,
    }
    if shutil.which("ffmpeg"):
        tasks["ffmpeg"] = by_ffmpeg
    else:
        print("ffmpeg is not installed; it is left out")
    if find_spec("decord"):
        tasks["decord"] = lambda path: by_decord(path, everything)
    if find_spec("cv2"):
        tasks["opencv"] = lambda path: by_opencv(path, set(everything))
    return tasks | transformers_tasks(lambda _: everything)


def transformers_tasks(numbers_of: Callable[[Path], Sequence[int]]) -> dict[str, Task]:
    """The first call and the second, in this order."""
    return {
        name: lambda path: by_transformers(path, numbers_of(path)) for name in ("transformers", "transformers again")
    }


def uniform_numbers(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return sample_uniform(total=container.streams.video[0].frames, num_frames=NUM_FRAMES).indices.tolist()


def few_by_us(path: Path) -> torch.Tensor:
    with VideoReader(path) as reader:
        return reader.frames_at(sample_uniform(total=len(reader), num_frames=NUM_FRAMES).indices, size=SHORT_SIDE)


def all_by_us(path: Path) -> torch.Tensor:
    with VideoReader(path) as reader:
        return torch.cat(list(reader.batches(32, size=SHORT_SIDE)))


def decode_only(path: Path) -> int:
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        return sum(1 for _ in container.decode(video=0))


def by_transformers(path: Path, numbers: Sequence[int]) -> torch.Tensor:
    with av.open(str(path)) as container:
        frames = read_video_pyav(container, numbers)
    size = scaled(*frames.shape[1:3])
    images = (torch.from_numpy(frame).permute(2, 0, 1)[None] for frame in frames)
    return torch.cat([F.interpolate(image, size, mode="bilinear", antialias=True) for image in images])


def by_ffmpeg(path: Path) -> None:
    scale = f"scale=-2:{SHORT_SIDE}"
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), "-vf", scale, "-f", "null", "-"], check=True)


def by_decord(path: Path, numbers: Iterable[int]) -> np.ndarray:
    import decord

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        height, width = scaled(stream.height, stream.width)
    return decord.VideoReader(str(path), width=width, height=height).get_batch(list(numbers)).asnumpy()


def by_opencv(path: Path, wanted: set[int]) -> np.ndarray:
    """Frames in order: seeking by number is not exact in OpenCV."""
    import cv2

    capture = cv2.VideoCapture(str(path))
    images = []
    for number in range(max(wanted) + 1):
        capture.grab()
        if number in wanted:
            _, image = capture.retrieve()
            height, width = scaled(*image.shape[:2])
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            images.append(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    capture.release()
    return np.stack(images)


def scaled(height: int, width: int) -> tuple[int, int]:
    return height * SHORT_SIDE // min(height, width), width * SHORT_SIDE // min(height, width)
