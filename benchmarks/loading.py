"""Clips a second out of a DataLoader: ours against a plain PyAV loop, and with more workers; and who waits for whom.

The plain loop is what tutorials show: every frame is decoded to RGB, sixteen are kept, and each is resized, cropped
and normalised by itself. Both read a random clip of 16 frames, 2 apart, at 112×112, and mirror it by chance.
"""

import random
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from benchmarks.clips import write_realistic_clip
from benchmarks.common import time_in_turn
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from muybridge.data import VideoRecords, load_videos
from muybridge.data.encoding import Encoding
from muybridge.data.items import ClipDataset, collate_items
from muybridge.data.shards import pack_videos
from muybridge.processing import ClipMaker, VideoProcessor, View, make_training_changes

NUM_CLIPS, BATCH_SIZE = 32, 4
HEIGHT, WIDTH, SECONDS = 240, 320, 4
NUM_FRAMES, STRIDE, SHORT_SIDE, CROP = 16, 2, 128, 112
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
CONSUMERS = (10, 20, 40)  # clips a second that a network takes


def run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        records = make_records(Path(name) / "clips")
        pack_videos(records, Path(name) / "copied")
        pack_videos(records, Path(name) / "encoded", encoding=Encoding(SHORT_SIDE), num_workers=2)
        ours = ClipDataset(records, make_clip_maker())
        copied = ClipDataset(load_videos(Path(name) / "copied"), make_clip_maker())
        encoded = ClipDataset(load_videos(Path(name) / "encoded"), make_clip_maker())
        loaders = {
            "plain PyAV loop, no worker": loader(PlainClips(records), 0),
            "plain PyAV loop, 2 workers": loader(PlainClips(records), 2),
            **{f"ours, {count or 'no'} worker{'s' * (count > 1)}": loader(ours, count) for count in (0, 1, 2)},
            "ours, 2 workers, tar shards": loader(copied, 2),
            f"ours, 2 workers, tar shards encoded at {SHORT_SIDE}": loader(encoded, 2),
        }
        seconds = time_in_turn({name: lambda each=each: exhaust(each) for name, each in loaders.items()}, rounds=3)
        starts = {name: loaders[name] for name in ("plain PyAV loop, 2 workers", "ours, no worker", "ours, 2 workers")}
        first = time_in_turn({name: lambda each=each: next(iter(each)) for name, each in starts.items()}, rounds=3)
        sets = {"plain PyAV loop": PlainClips(records), "ours": ours, f"ours, encoded at {SHORT_SIDE}": encoded}
        per_core = {name: clips_per_core_second(each) for name, each in sets.items()}
        waiting = {speed: share_waited(loader(ours, 2), speed) for speed in CONSUMERS}
    plain = seconds["plain PyAV loop, 2 workers"]
    return {
        "what": f"{NUM_CLIPS} clips of {HEIGHT}p, {SECONDS} s; batches of {BATCH_SIZE}×{NUM_FRAMES}×{CROP}×{CROP}",
        "clips_per_second_of_a_core": per_core,
        "clips_per_second": {name: round(NUM_CLIPS / value, 1) for name, value in seconds.items()},
        "times_faster_than_plain_with_2_workers": {name: round(plain / value, 2) for name, value in seconds.items()},
        "seconds_to_first_batch": {name: round(value, 2) for name, value in first.items()},
        "share_of_time_waiting": {f"a network of {speed} clips/s": share for speed, share in waiting.items()},
    }


def make_records(folder: Path) -> VideoRecords:
    for number in range(NUM_CLIPS):
        path = folder / f"class{number % 2}" / f"{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_realistic_clip(path, HEIGHT, WIDTH, SECONDS, seed=number)
    return load_videos(folder)


def make_clip_maker() -> ClipMaker:
    processor = VideoProcessor(
        num_frames=NUM_FRAMES,
        sampling="dense",
        frame_stride=STRIDE,
        size={"shortest_edge": SHORT_SIDE},
        crop_size={"height": CROP, "width": CROP},
    )
    return ClipMaker(processor, {"clip": View(is_random=True, changes=make_training_changes())})


def loader(clips: Dataset, num_workers: int) -> DataLoader:
    return DataLoader(clips, batch_size=BATCH_SIZE, shuffle=True, num_workers=num_workers, collate_fn=collate_items)


def exhaust(batches: Iterable[Any]) -> None:
    for _ in batches:
        pass


def clips_per_core_second(clips: Dataset) -> float:
    """Clips for each second that a processor worked, whatever else the machine does meanwhile."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a worker
    start = time.process_time()
    for index in range(NUM_CLIPS):
        clips[index]
    seconds = time.process_time() - start
    torch.set_num_threads(num_threads)
    return round(NUM_CLIPS / seconds, 1)


def share_waited(batches: Iterable[Any], clips_per_second: int) -> float:
    """The share of an epoch that a network of this speed stands still; the time to the first batch is left out."""
    iterator = iter(batches)
    next(iterator)
    waited, start = 0.0, time.perf_counter()
    while True:
        time.sleep(BATCH_SIZE / clips_per_second)  # as a network on an accelerator: it leaves the processor alone
        asked = time.perf_counter()
        if next(iterator, None) is None:
            return round(waited / (asked - start), 2)
        waited += time.perf_counter() - asked


class PlainClips(Dataset):
    """What tutorials do."""

    def __init__(self, records: VideoRecords) -> None:
        self.records = records

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict[str, Any]:
        with av.open(self.records[index].source) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        start = random.randint(0, len(frames) - NUM_FRAMES * STRIDE)
        left, top = random.randint(0, WIDTH * SHORT_SIDE // HEIGHT - CROP), random.randint(0, SHORT_SIDE - CROP)
        chosen = frames[start : start + NUM_FRAMES * STRIDE : STRIDE]
        clip = torch.stack([self.prepare(frame, left, top) for frame in chosen])
        pixels = clip.flip(-1) if random.random() < 0.5 else clip
        return {"views": {"clip": {"pixel_values_videos": pixels}}, "targets": {"label": 0}, "index": index}

    def prepare(self, frame: np.ndarray, left: int, top: int) -> Tensor:
        image = Image.fromarray(frame).resize((WIDTH * SHORT_SIDE // HEIGHT, SHORT_SIDE), Image.Resampling.BILINEAR)
        cropped = np.asarray(image.crop((left, top, left + CROP, top + CROP)), dtype=np.float32)
        return torch.from_numpy((cropped / 255 - MEAN) / STD).permute(2, 0, 1)
