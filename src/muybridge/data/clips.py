"""Data sets of PyTorch that decode: a record becomes an item for a DataLoader.

Shapes: T frames of a clip, V views of a video, C channels, H×W pixels.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset

from muybridge.data.errors import DataError
from muybridge.data.records import VideoRecord, VideoRecords
from muybridge.data.skipping import SkipLog
from muybridge.processing import (
    ClipTransform,
    ColorJitter,
    Compose,
    RandomHorizontalFlip,
    RandomResizedCrop,
    VideoProcessor,
)
from muybridge.processing.settings import exact_size, target_size
from muybridge.processing.steps import write_pixel_values
from muybridge.types import Clip
from muybridge.video import ErrorPolicy, VideoReader, sampling
from muybridge.video.conversion import resized_size

MAX_UNREADABLE_IN_A_ROW = 50  # beyond, the data is not where it is thought to be, and training must not go on

Item = dict[str, Any]


class ClipDataset(Dataset[Item], ABC):
    """Records as items {"pixel_values_videos", "labels", "index"}; `index` is the record's place in `records`.

    Videos that are left out, also by worker processes, are listed in `skipped`.
    """

    def __init__(
        self, records: VideoRecords, processor: VideoProcessor, policy: ErrorPolicy, log: str | Path | None
    ) -> None:
        if not len(records):
            raise DataError("there are no clips to decode")
        self.records = records
        self.processor = processor
        self.policy = policy
        self.skip_log = SkipLog(log)
        self._label_ids = torch.tensor(records.label_ids())

    def __len__(self) -> int:
        return len(self.records)

    @abstractmethod
    def __getitem__(self, index: int) -> Item:
        """The item of the record at `index`."""

    @property
    def skipped(self) -> dict[str, str]:
        """The videos that could not be read so far, in this process or its workers, and why."""
        return self.skip_log.read()

    def read(self, index: int, decode: Callable[[VideoRecord], Tensor]) -> Tensor | None:
        """The pixel values of a record; None, noted in `skipped`, where it cannot be read and the policy is to skip."""
        record = self.records[index]
        pixel_values = self.policy.attempt(lambda: decode(record), record.name)
        if pixel_values is None:
            self.skip_log.add(*self.policy.skipped[-1])
        return pixel_values

    def item(self, index: int, pixel_values: Tensor | None) -> Item:
        return {"pixel_values_videos": pixel_values, "labels": self._label_ids[index].item(), "index": index}


class TrainingClips(ClipDataset):
    """One clip (T, C, H, W) a record: at a random time, changed at random, in the processor's numbers.

    The draws for an item come from the seed, the epoch and the item's index alone, so that it is the same in whichever
    worker and after however many other items: training resumes exactly, and decodes nothing of what it passes over.
    In the place of a video that cannot be read stands another one, drawn in the same way; its item has the index of
    the video that is shown.

    Every process of a training calls `set_epoch` before it begins an epoch; workers, also persistent ones, see it.
    """

    def __init__(
        self,
        records: VideoRecords,
        processor: VideoProcessor,
        *,
        augmentation: ClipTransform | None = None,
        seed: int = 0,
        policy: ErrorPolicy | None = None,
        log: str | Path | None = None,
    ) -> None:
        super().__init__(records, processor, policy or ErrorPolicy("skip"), log)
        self.augmentation = augmentation or training_augmentation(processor)
        self.seed = seed
        self.settings = processor.settings({})
        if self.settings.num_frames is None:
            raise ValueError("the processor's num_frames is None; training needs clips of one length")
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    @property
    def epoch(self) -> int:
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Makes the next items those of another epoch, in this process and its workers."""
        self._epoch.fill_(epoch)

    def __getitem__(self, index: int) -> Item:
        shown = index
        generator = generator_of(self.seed, self.epoch, index)
        for _ in range(MAX_UNREADABLE_IN_A_ROW):
            pixel_values = self.read(shown, partial(self.decode, generator=generator))
            if pixel_values is not None:
                return self.item(shown, pixel_values)
            shown = int(torch.randint(len(self), (), generator=generator))
        reasons = "\n".join(f"  {name}: {reason}" for name, reason in list(self.skipped.items())[:3])
        raise DataError(f"{MAX_UNREADABLE_IN_A_ROW} videos in a row cannot be read, such as\n{reasons}")

    def decode(self, record: VideoRecord, generator: Generator) -> Tensor:
        with self.records.open(record) as reader:
            return training_clip(reader, self.augmentation, self.settings, generator)


class EvaluationClips(ClipDataset):
    """The processor's views of each record: (T, C, H, W), or (V, T, C, H, W) where there are several.

    `views` are arguments of the processor, such as `num_clips` and `num_crops`. The item of a video that cannot be
    read has None for its pixel values; `collate_views` lists it, so that it can be counted as wrong.
    """

    def __init__(
        self,
        records: VideoRecords,
        processor: VideoProcessor,
        *,
        policy: ErrorPolicy | None = None,
        log: str | Path | None = None,
        **views: Any,
    ) -> None:
        super().__init__(records, processor, policy or ErrorPolicy("skip"), log)
        processor.settings(views)  # refuses what it does not know, here rather than in a worker
        self.views = views

    def __getitem__(self, index: int) -> Item:
        return self.item(index, self.read(index, self.decode))

    def decode(self, record: VideoRecord) -> Tensor:
        with self.records.open(record) as reader:
            return self.processor(reader, return_tensors="pt", **self.views)["pixel_values_videos"][0]


def training_augmentation(
    processor: VideoProcessor,
    *,
    scale: tuple[float, float] = (0.5, 1.0),
    flip_probability: float = 0.5,
    jitter: Mapping[str, float] | None = None,
) -> ClipTransform:
    """Random resized crop and mirror image, to the size that the processor's model takes.

    Where left and right make a difference, as in Something-Something, `flip_probability` must be 0. `jitter` holds
    the arguments of `ColorJitter`; it is off by default, as in the papers of the classic networks.
    """
    settings = processor.settings({})
    size = exact_size(settings.crop_size if settings.do_center_crop else settings.size)
    transforms = [RandomResizedCrop(size, scale), RandomHorizontalFlip(flip_probability)]
    return Compose([*transforms, ColorJitter(**jitter)] if jitter else transforms)


def training_clip(
    reader: VideoReader, augmentation: ClipTransform, settings: SimpleNamespace, generator: Generator
) -> Tensor:
    """The pixel values (T, C, H, W) of a random clip, changed at random."""
    frames = augmentation(random_frames(reader, settings, generator), generator)
    pixel_values = torch.empty(frames.shape, dtype=torch.float32)
    write_pixel_values(frames, settings, out=pixel_values)
    return pixel_values


def random_frames(reader: VideoReader, settings: SimpleNamespace, generator: Generator) -> Tensor:
    """The frames (T, C, H, W) of a random clip, not larger than the processor would make them."""
    total = len(reader)  # what makes the reader's metadata exact
    known = reader.metadata
    clip = random_clip(total, known.fps, settings, generator)
    return reader.frames_at(clip.indices, size=decoding_size(known.height, known.width, settings))


def random_clip(total: int, video_fps: float | None, settings: SimpleNamespace, generator: Generator) -> Clip:
    """The random counterpart of the processor's sampling: a start, or a frame in each part of the video."""
    if settings.sampling != "dense":
        return sampling.segments(total=total, num_segments=settings.num_frames, generator=generator)
    stride = video_fps / settings.fps if video_fps and settings.fps else 1.0
    return sampling.random_clip(
        total=total, num_frames=settings.num_frames, stride=stride * settings.frame_stride, generator=generator
    )


def decoding_size(height: int, width: int, settings: SimpleNamespace) -> tuple[int, int] | None:
    """The size to decode at: the processor's, unless it is the larger one, for a crop will be resized anyway."""
    if not settings.do_resize:
        return None
    target = resized_size(height, width, target_size(settings.size))
    return target if target[0] * target[1] < height * width else None


def generator_of(*numbers: int) -> Generator:
    """A generator for a place in a run; places next to each other have streams that are not alike."""
    seed = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(seed))


def collate_clips(items: Sequence[Item]) -> dict[str, Tensor]:
    """Items of `TrainingClips` as a batch."""
    return {
        "pixel_values_videos": torch.stack([item["pixel_values_videos"] for item in items]),
        "labels": torch.tensor([item["labels"] for item in items]),
        "index": torch.tensor([item["index"] for item in items]),
    }


def collate_views(items: Sequence[Item]) -> dict[str, Tensor]:
    """Items of `EvaluationClips` as a batch of those that can be read, and the indices of those that cannot.

    A batch of none has pixel values of shape (0,).
    """
    readable = [item for item in items if item["pixel_values_videos"] is not None]
    unreadable = [item["index"] for item in items if item["pixel_values_videos"] is None]
    batch = collate_clips(readable) if readable else {"pixel_values_videos": torch.empty(0)}
    empty = torch.empty(0, dtype=torch.int64)
    return {"labels": empty, "index": empty, **batch, "unreadable": torch.tensor(unreadable, dtype=torch.int64)}
