"""Sprites for a DataLoader, made on the fly: as many as wanted, or without end."""

from collections.abc import Iterator
from itertools import count
from typing import Any

from torch.utils.data import Dataset, IterableDataset, get_worker_info

from muybridge.data.sprites.clips import SpriteSettings, label_of, make_clip
from muybridge.processing.functional import rescale_and_normalize
from muybridge.processing.video_processing import VideoProcessor

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)  # of the pixels, nearly

Item = dict[str, Any]


def make_item(index: int, settings: SpriteSettings, processor: VideoProcessor | None) -> Item:
    """Clip `index` as a model takes it; without a processor it keeps its size and is normalised by `MEAN` and `STD`."""
    frames = make_clip(index, settings).frames
    if processor is None:
        pixels = rescale_and_normalize(frames, mean=MEAN, std=STD)
    else:
        pixels = processor(frames, return_tensors="pt")["pixel_values_videos"][0]
    return {"pixel_values_videos": pixels, "labels": label_of(index, settings), "index": index}


class SpriteDataset(Dataset[Item]):
    """Clips `first` to `first + num_clips` of the set that `SpriteSettings(**settings)` describes.

    The same settings with another `first` give other clips of the same kind: for validation, say.
    """

    def __init__(
        self, num_clips: int, *, first: int = 0, processor: VideoProcessor | None = None, **settings: Any
    ) -> None:
        if num_clips < 1 or first < 0:
            raise ValueError(f"num_clips is {num_clips} and first {first}; they must be at least 1 and 0")
        self.settings = SpriteSettings(**settings)
        self.processor = processor
        self._indices = range(first, first + num_clips)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their numbers."""
        return self.settings.labels

    def label_ids(self) -> list[int]:
        return [label_of(index, self.settings) for index in self._indices]

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Item:
        return {**make_item(self._indices[index], self.settings, self.processor), "index": index}


class SpriteStream(IterableDataset[Item]):
    """Clips without end, from `first` on; the workers of a DataLoader take turns."""

    def __init__(self, *, first: int = 0, processor: VideoProcessor | None = None, **settings: Any) -> None:
        if first < 0:
            raise ValueError(f"first is {first}; clips are numbered from 0")
        self.settings = SpriteSettings(**settings)
        self.processor = processor
        self.first = first

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their numbers."""
        return self.settings.labels

    def __iter__(self) -> Iterator[Item]:
        worker = get_worker_info()
        number, step = (worker.id, worker.num_workers) if worker else (0, 1)
        return (make_item(index, self.settings, self.processor) for index in count(self.first + number, step))
