"""What a run loads and in which order: the clips of all data sets as one, or further clips, without end.

What is drawn for a clip depends on the seed, the epoch and its place alone. So an order of places is an order of
(epoch, place), and the loader's workers need to be told nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from muybridge.data import SplitData
from muybridge.data.items import ClipDataset, Item
from muybridge.objectives import Objective
from muybridge.processing import ClipMaker, View
from muybridge.randomness import make_generator
from muybridge.training.settings import TrainingSettings
from muybridge.video import ErrorPolicy

Place = tuple[int, int]  # the epoch and the number of a clip among all


class RunClips(Dataset[Item]):
    """The clips of several data sets one after the other; `data_set` of an item says whose it is."""

    def __init__(self, parts: Sequence[ClipDataset], encode_targets: Callable[..., Any]) -> None:
        self.parts = list(parts)
        self.encode_targets = encode_targets
        self.places = [(number, index) for number, part in enumerate(parts) for index in range(len(part))]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: Place) -> Item:
        epoch, number = place
        data_set, index = self.places[number]
        part = self.parts[data_set]
        item = part.make_item(index, epoch)
        targets = self.encode_targets(part.records, item["index"], data_set=data_set)
        return {**item, "targets": targets, "data_set": data_set}

    def get_name(self, data_set: int, index: int) -> str:
        """What errors call the clip with this index in its own data set."""
        return self.parts[data_set].records[index].name

    def describe_skipped(self, folder: Path) -> list[str]:
        """A line on the videos that could not be read so far."""
        skipped = {name for part in self.parts for name in part.skipped}
        if not skipped:
            return []
        return [
            f"{len(skipped)} clips cannot be read, and others took their places; {folder / 'skipped.jsonl'} says why"
        ]


class FixedOutputs(Dataset[Item]):
    """The items of `clips` with what a frozen trunk gave in the place of views: columns, in their order."""

    def __init__(self, clips: RunClips, columns: Mapping[str, Tensor]) -> None:
        self.clips = clips
        self.columns = dict(columns)
        self.get_name = clips.get_name
        self.describe_skipped = clips.describe_skipped

    def __len__(self) -> int:
        return len(self.columns["index"])

    def __getitem__(self, place: Place) -> Item:
        _, number = place
        item: Item = {"fixed": {}, "targets": {}}
        for name, column in self.columns.items():
            group, _, own = name.partition(".")
            (item[group] if own else item).__setitem__(own or group, column[number])
        return item


class ShuffledOrder(Sampler[Place]):
    """All clips in an order that is another one in each epoch, and the same one after a restart."""

    def __init__(self, num_clips: int, seed: int) -> None:
        self.num_clips = num_clips
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return self.num_clips

    def __iter__(self) -> Iterator[Place]:
        return ((self.epoch, number) for number in shuffle(self.num_clips, self.seed, self.epoch))

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch


class EndlessBatches(Sampler[list[Place]]):
    """Batches of one of several processes from a source that begins anew, in another order, whenever it ends.

    `first` is how many batches every process has had before.
    """

    def __init__(
        self, num_clips: int, batch_size: int, seed: int, *, process_index: int, num_processes: int, first: int
    ) -> None:
        self.num_clips = num_clips
        self.batch_size = batch_size
        self.seed = seed
        self.process_index = process_index
        self.num_processes = num_processes
        self.first = first

    def __iter__(self) -> Iterator[list[Place]]:
        number = self.first * self.num_processes + self.process_index
        orders: dict[int, list[int]] = {}  # of the passes that this batch has clips of
        while True:
            start = number * self.batch_size
            places = [divmod(position, self.num_clips) for position in range(start, start + self.batch_size)]
            orders = {epoch: orders.get(epoch) or shuffle(self.num_clips, self.seed, epoch) for epoch, _ in places}
            yield [(epoch, orders[epoch][position]) for epoch, position in places]
            number += self.num_processes


def shuffle(num_clips: int, seed: int, epoch: int) -> list[int]:
    return torch.randperm(num_clips, generator=make_generator(seed, epoch)).tolist()


def make_clips(
    settings: TrainingSettings, data: Sequence[SplitData], objective: Objective, views: Mapping[str, View]
) -> RunClips:
    maker = ClipMaker(objective.processor, views)
    policy = ErrorPolicy.parse(settings.errors)
    log = Path(settings.output) / "skipped.jsonl"
    parts = [ClipDataset(part.training, maker, targets=(), policy=policy, seed=settings.seed, log=log) for part in data]
    return RunClips(parts, objective.encode_targets)
