"""The training clips of all data sets as one, in an order that the seed and the epoch alone decide."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from muybridge.data.items import ClipDataset, Item
from muybridge.processing import ClipMaker, VideoProcessor, View, make_training_changes
from muybridge.randomness import make_generator
from muybridge.training.learner import Task
from muybridge.training.settings import TrainingSettings
from muybridge.training.setup import TaskData
from muybridge.video import ErrorPolicy

VIEW = "clip"  # the one view that is trained on


class TaskClips(Dataset[Item]):
    """The clips of several data sets one after the other; labels are counted through, `task` says whose they are."""

    def __init__(self, clips: Sequence[ClipDataset], tasks: Sequence[Task]) -> None:
        self.clips = list(clips)
        self.tasks = list(tasks)
        self.places = [(task, index) for task, part in enumerate(clips) for index in range(len(part))]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Item:
        task, place = self.places[index]
        item = self.clips[task][place]
        return {**item, "targets": {"label": item["targets"]["label"] + self.tasks[task].start}, "task": task}

    def set_epoch(self, epoch: int) -> None:
        for part in self.clips:
            part.set_epoch(epoch)

    @property
    def skipped(self) -> dict[str, str]:
        """The videos that could not be read so far, and why."""
        return {name: reason for part in self.clips for name, reason in part.skipped.items()}

    def get_name(self, task: int, index: int) -> str:
        """What errors call the clip with this index in its own data set."""
        return self.clips[task].records[index].name


class CachedFeatures(Dataset[Item]):
    """The items of `clips` with the features of a frozen trunk in the place of inputs: columns, in their order."""

    def __init__(self, clips: TaskClips, columns: Mapping[str, Tensor]) -> None:
        self.columns = dict(columns)
        self.get_name = clips.get_name
        self.skipped = clips.skipped

    def __len__(self) -> int:
        return len(self.columns["label"])

    def __getitem__(self, index: int) -> Item:
        row = {name: column[index] for name, column in self.columns.items()}
        return {
            "views": {VIEW: {"features": row["features"]}},
            "targets": {"label": row["label"]},
            "index": row["index"],
            "task": row["task"],
        }

    def set_epoch(self, epoch: int) -> None:
        """Nothing changes from epoch to epoch."""


def make_clips(
    settings: TrainingSettings, data: Sequence[TaskData], tasks: Sequence[Task], processor: VideoProcessor
) -> TaskClips:
    """The training clips of all data sets."""
    changes = make_training_changes(scale=(settings.smallest_crop, 1.0), flip_probability=0.5 if settings.flip else 0.0)
    drawn, middle = View(is_random=True, changes=changes), View(fields={"num_clips": 1, "num_crops": 1})
    clip_maker = ClipMaker(processor, {VIEW: drawn if settings.augment else middle})
    policy = ErrorPolicy.parse(settings.errors)
    log = Path(settings.output) / "skipped.jsonl"
    parts = [ClipDataset(task.training, clip_maker, policy=policy, seed=settings.seed, log=log) for task in data]
    return TaskClips(parts, tasks)


class ShuffledOrder(Sampler[int]):
    """All clips in an order that is another one in each epoch, and the same one after a restart."""

    def __init__(self, num_clips: int, seed: int) -> None:
        self.num_clips = num_clips
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return self.num_clips

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(self.num_clips, generator=make_generator(self.seed, self.epoch)).tolist())

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch
