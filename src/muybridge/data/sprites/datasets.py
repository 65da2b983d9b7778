"""Sprites for a DataLoader, made on the fly: as many as wanted, or without end."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from muybridge.data.items import Item
from muybridge.data.records import number_names
from muybridge.data.sprites.making import SpriteClip, make_clip
from muybridge.data.sprites.settings import SpriteSettings, get_label_id
from muybridge.data.sprites.sound import SAMPLE_RATE
from muybridge.data.sprites.truths import list_names
from muybridge.data.targets import encode_targets
from muybridge.processing import ClipMaker, VideoProcessor, View
from muybridge.randomness import make_generator
from muybridge.video import MemoryReader, Reader

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)  # of the pixels, nearly
FPS = 16


class SpriteMaker:
    """Makes items of the set that `settings` describes, as those of `ClipDataset`.

    clip_maker: makes the views of a clip, of its frames ("video"), its true flow ("flow") and its sound ("sound"). By
        default there is one view, "clip": the frames in their own size, normalised by `MEAN` and `STD`.
    targets: the kinds that an item has, of those that sprites know: all but "domain".
    """

    def __init__(self, settings: SpriteSettings, clip_maker: ClipMaker | None, targets: Sequence[str]) -> None:
        self.settings = settings
        self.clip_maker = clip_maker or make_plain_clip_maker(settings)
        self.targets = tuple(targets)
        self.names = list_names(settings)
        rates = [getattr(part.settings, "sampling_rate", None) for part in self.clip_maker.parts.values()]
        self.sampling_rate = next((rate for rate in rates if rate), SAMPLE_RATE)
        self._ids = {kind: number_names(names) for kind, names in self.names.items()}

    def make_item(self, number: int, index: int, epoch: int = 0) -> Item:
        """Clip `number` of the set, as the item with this index; what is drawn for it differs in each epoch."""
        clip = make_clip(number, self.settings)
        readers = {name: open_sprite(clip, name, self.sampling_rate) for name in self.clip_maker.sources}
        views = self.clip_maker.make(readers, make_generator(self.settings.seed, epoch, number))
        targets: dict[str, Any] = {"label": clip.label}
        if self.targets != ("label",):
            targets = encode_targets(clip.targets, self.targets, self._ids, f"sprite {number}")
        return {"views": views, "targets": targets, "index": index}


def make_plain_clip_maker(settings: SpriteSettings) -> ClipMaker:
    """Takes frames as they are, and normalises them."""
    processor = VideoProcessor(
        num_frames=settings.num_frames, do_resize=False, do_center_crop=False, image_mean=MEAN, image_std=STD
    )
    return ClipMaker(processor, {"clip": View()})


def open_sprite(clip: SpriteClip, source: str, sampling_rate: int) -> Reader:
    """A reader of the frames, the flow or the sound of a clip."""
    if source == "sound":
        return MemoryReader(clip.make_sound(FPS, sampling_rate), fps=sampling_rate, modality="sound")
    if source == "flow":
        return MemoryReader(clip.flow, fps=FPS, modality="flow")
    if source == "video":
        return MemoryReader(clip.frames, fps=FPS)
    raise ValueError(f"the processor reads {source!r}; sprites have video, flow and sound")


class SpriteDataset(Dataset[Item]):
    """Clips `first` to `first + num_clips` of the set that `SpriteSettings(**settings)` describes, see `SpriteMaker`.

    An item is {"views": {view: inputs}, "targets": by kind, "index"}. The same settings with another `first` give other
    clips of the same kind: for validation, say. Where views are drawn at random, `set_epoch` makes them others.
    """

    def __init__(
        self,
        num_clips: int,
        *,
        first: int = 0,
        clip_maker: ClipMaker | None = None,
        targets: Sequence[str] = ("label",),
        **settings: Any,
    ) -> None:
        if num_clips < 1 or first < 0:
            raise ValueError(f"num_clips is {num_clips} and first {first}; they must be at least 1 and 0")
        self.settings = SpriteSettings(**settings)
        self.maker = SpriteMaker(self.settings, clip_maker, targets)
        self._indices = range(first, first + num_clips)
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # workers, also persistent ones, see it

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their numbers."""
        return self.settings.labels

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """The names that targets use, by kind, in the order of their numbers."""
        return self.maker.names

    def set_epoch(self, epoch: int) -> None:
        """Makes the next items those of another epoch, in this process and its workers."""
        self._epoch.fill_(epoch)

    def label_ids(self) -> list[int]:
        return [get_label_id(index, self.settings) for index in self._indices]

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Item:
        return self.maker.make_item(self._indices[index], index, int(self._epoch))


class SpriteStream(IterableDataset[Item]):
    """Clips without end, from `first` on, as items of `SpriteDataset`; the workers of a DataLoader take turns."""

    def __init__(
        self,
        *,
        first: int = 0,
        clip_maker: ClipMaker | None = None,
        targets: Sequence[str] = ("label",),
        **settings: Any,
    ) -> None:
        if first < 0:
            raise ValueError(f"first is {first}; clips are numbered from 0")
        self.settings = SpriteSettings(**settings)
        self.maker = SpriteMaker(self.settings, clip_maker, targets)
        self.first = first

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their numbers."""
        return self.settings.labels

    def __iter__(self) -> Iterator[Item]:
        worker = get_worker_info()
        number, step = (worker.id, worker.num_workers) if worker else (0, 1)
        return (self.maker.make_item(index, index) for index in count(self.first + number, step))
