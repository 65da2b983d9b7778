"""Sprites for a DataLoader, made on the fly: as many as wanted, or without end."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from torch.utils.data import Dataset, IterableDataset, get_worker_info

from muybridge.data.sprites.making import make_clip
from muybridge.data.sprites.settings import SpriteSettings, get_label_id
from muybridge.data.sprites.truths import list_names
from muybridge.data.targets import encode_targets
from muybridge.processing.video_processing import VideoProcessor

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)  # of the pixels, nearly
VIEW = "video"  # what the one view of a clip is called

Item = dict[str, Any]


class SpriteMaker:
    """Makes items of the set that `settings` describes.

    processor: what turns frames into a model's inputs; by default they keep their size and are normalised by `MEAN` and
        `STD`.
    targets: the kinds that an item has, of those that sprites know: all but "domain".
    """

    def __init__(self, settings: SpriteSettings, processor: VideoProcessor | None, targets: Sequence[str]) -> None:
        self.settings = settings
        self.processor = processor or make_plain_processor(settings)
        self.targets = tuple(targets)
        self.names = list_names(settings)
        self._ids = {kind: {name: id for id, name in enumerate(names)} for kind, names in self.names.items()}

    def make_item(self, number: int, index: int) -> Item:
        """Clip `number` of the set, as the item with this index."""
        clip = make_clip(number, self.settings)
        inputs = self.processor(clip.frames, return_tensors="pt")
        targets: dict[str, Any] = {"label": clip.label}
        if self.targets != ("label",):
            targets = encode_targets(clip.targets, self.targets, self._ids, f"sprite {number}")
        return {
            "views": {VIEW: {name: values[0] for name, values in inputs.items()}},
            "targets": targets,
            "index": index,
        }


def make_plain_processor(settings: SpriteSettings) -> VideoProcessor:
    """A processor that takes frames as they are, and normalises them."""
    return VideoProcessor(
        num_frames=settings.num_frames, do_resize=False, do_center_crop=False, image_mean=MEAN, image_std=STD
    )


class SpriteDataset(Dataset[Item]):
    """Clips `first` to `first + num_clips` of the set that `SpriteSettings(**settings)` describes, see `SpriteMaker`.

    An item is {"views": {"video": a model's inputs}, "targets": by kind, "index"}. The same settings with another
    `first` give other clips of the same kind: for validation, say.
    """

    def __init__(
        self,
        num_clips: int,
        *,
        first: int = 0,
        processor: VideoProcessor | None = None,
        targets: Sequence[str] = ("label",),
        **settings: Any,
    ) -> None:
        if num_clips < 1 or first < 0:
            raise ValueError(f"num_clips is {num_clips} and first {first}; they must be at least 1 and 0")
        self.settings = SpriteSettings(**settings)
        self.maker = SpriteMaker(self.settings, processor, targets)
        self._indices = range(first, first + num_clips)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their numbers."""
        return self.settings.labels

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """The names that targets use, by kind, in the order of their numbers."""
        return self.maker.names

    def label_ids(self) -> list[int]:
        return [get_label_id(index, self.settings) for index in self._indices]

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Item:
        return self.maker.make_item(self._indices[index], index)


class SpriteStream(IterableDataset[Item]):
    """Clips without end, from `first` on, as items of `SpriteDataset`; the workers of a DataLoader take turns."""

    def __init__(
        self,
        *,
        first: int = 0,
        processor: VideoProcessor | None = None,
        targets: Sequence[str] = ("label",),
        **settings: Any,
    ) -> None:
        if first < 0:
            raise ValueError(f"first is {first}; clips are numbered from 0")
        self.settings = SpriteSettings(**settings)
        self.maker = SpriteMaker(self.settings, processor, targets)
        self.first = first

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their numbers."""
        return self.settings.labels

    def __iter__(self) -> Iterator[Item]:
        worker = get_worker_info()
        number, step = (worker.id, worker.num_workers) if worker else (0, 1)
        return (self.maker.make_item(index, index) for index in count(self.first + number, step))
