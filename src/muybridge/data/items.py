"""A data set of PyTorch that decodes: a record becomes an item for a DataLoader.

An item is {"views": {view: {input: Tensor}}, "targets": {name: …}, "index": int}, and a batch the same with a batch
axis in front. `index` is the record's place among the records.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset, default_collate

from muybridge.data.errors import DataError
from muybridge.data.records import MAIN_SOURCE, VideoRecord, VideoRecords, find_source
from muybridge.data.skipping import SkipLog
from muybridge.data.sources import make_readable
from muybridge.data.targets import collate_targets
from muybridge.processing import ClipMaker
from muybridge.randomness import make_generator
from muybridge.video import ErrorPolicy, Reader

MAX_UNREADABLE_IN_A_ROW = 50  # beyond, the data is not where it is thought to be, and training must not go on

Item = dict[str, Any]
Views = dict[str, dict[str, Tensor]]


class ClipDataset(Dataset[Item]):
    """Records as items with the views that a clip-maker makes of them.

    What is drawn for an item comes from the seed, the epoch and the item's index alone, so that it is the same in
    whichever worker and after however many other items: training resumes exactly, and decodes nothing that it passes
    over. Every process of a training calls `set_epoch` before an epoch begins; workers, also persistent ones, see it.

    `targets` are the kinds that an item has, see `TARGETS`.

    A video that cannot be read is listed in `skipped`, also by worker processes. In its place stands another one, drawn
    in the same way, whose item has its own index. With `replace_unreadable=False`, as for evaluation, its item has None
    for its views, and `collate_items` lists its index, so that it can be counted as wrong.
    """

    def __init__(
        self,
        records: VideoRecords,
        clip_maker: ClipMaker,
        *,
        targets: Sequence[str] = ("label",),
        policy: ErrorPolicy | None = None,
        seed: int = 0,
        replace_unreadable: bool = True,
        log: str | Path | None = None,
    ) -> None:
        if not len(records):
            raise DataError("there are no clips to decode")
        self.records = records
        self.clip_maker = clip_maker
        self.targets = tuple(targets)
        self.policy = policy or ErrorPolicy("skip")
        self.seed = seed
        self.replace_unreadable = replace_unreadable
        self.skip_log = SkipLog(log)
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return len(self.records)

    @property
    def epoch(self) -> int:
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Makes the next items those of another epoch, in this process and its workers."""
        self._epoch.fill_(epoch)

    @property
    def skipped(self) -> dict[str, str]:
        """The videos that could not be read so far, in this process or its workers, and why."""
        return self.skip_log.read()

    def __getitem__(self, index: int) -> Item:
        return self.make_item(index, self.epoch)

    def make_item(self, index: int, epoch: int) -> Item:
        """The item of a record in an epoch."""
        shown = index
        generator = make_generator(self.seed, epoch, index)
        for _ in range(MAX_UNREADABLE_IN_A_ROW if self.replace_unreadable else 1):
            views = self.read(shown, generator)
            if views is not None or not self.replace_unreadable:
                return {"views": views, "targets": self.records.encode_targets(shown, self.targets), "index": shown}
            shown = int(torch.randint(len(self), (), generator=generator))
        reasons = "\n".join(f"  {name}: {reason}" for name, reason in list(self.skipped.items())[:3])
        raise DataError(f"{MAX_UNREADABLE_IN_A_ROW} videos in a row cannot be read, such as\n{reasons}")

    def read(self, index: int, generator: Generator) -> Views | None:
        """The views of a record; None, noted in `skipped`, where it cannot be read and the policy is to skip."""
        record = self.records[index]
        stores = self.records.stores
        views = self.policy.attempt(lambda: make_views(record, stores, self.clip_maker, generator), record.name)
        if views is None:
            self.skip_log.add(*self.policy.skipped[-1])
        return views


def make_views(
    record: VideoRecord, stores: Mapping[str, Any], clip_maker: ClipMaker, generator: Generator | None
) -> Views:
    """The views of a record, whose files are opened for it."""
    with open_readers(record, stores, clip_maker) as readers:
        return clip_maker.make(readers, generator)


@contextmanager
def open_readers(record: VideoRecord, stores: Mapping[str, Any], clip_maker: ClipMaker) -> Iterator[dict[str, Reader]]:
    """The readers that a clip-maker takes, of a record's sources, or of the segment of them."""
    # A record's first source is its video, whatever it is called.
    wanted = {name: None if name == MAIN_SOURCE and name not in record.sources else name for name in clip_maker.sources}
    found = {name: find_source(record, source) for name, source in wanted.items()}
    files = {source: make_readable(source, stores) for source in dict.fromkeys(found.values())}
    sources = {name: files[source] for name, source in found.items()}
    with clip_maker.open(sources, start_seconds=record.start_seconds, end_seconds=record.end_seconds) as readers:
        yield readers


def collate_items(items: Sequence[Item]) -> dict[str, Any]:
    """A batch of the items that can be read, and under "unreadable" the indices of those that cannot.

    A batch of none has no views and no targets.
    """
    readable_items = [item for item in items if item["views"] is not None]
    unreadable = [item["index"] for item in items if item["views"] is None]
    return {
        "views": default_collate([item["views"] for item in readable_items]) if readable_items else {},
        "targets": collate_targets([item["targets"] for item in readable_items]),
        "index": torch.tensor([item["index"] for item in readable_items], dtype=torch.int64),
        "unreadable": torch.tensor(unreadable, dtype=torch.int64),
    }
