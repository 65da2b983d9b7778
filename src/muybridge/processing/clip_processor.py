"""What every processor of clips has in common, whether it takes frames, flow or sound."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from types import SimpleNamespace
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor
from transformers.image_processing_base import BatchFeature
from transformers.video_processing_utils import VideoProcessorMixin

from muybridge.processing.batches import preprocess
from muybridge.processing.changes import Change
from muybridge.processing.parts import Lead, Span
from muybridge.processing.settings import CheckedProcessor
from muybridge.types import Clip
from muybridge.video import MemoryReader, Reader
from muybridge.video.geometry import Size
from muybridge.video.source import Source


class ClipProcessor(CheckedProcessor, VideoProcessorMixin):
    """Makes one input of a model of what a reader gives: which frames, how changed, with which numbers.

    `source` names the reader that it takes, where a clip has several: "video", "flow", "sound", or another camera.
    """

    modality: str
    has_pictures: ClassVar[bool] = True  # which can be cropped and mirrored

    source = "video"
    num_clips = 1
    num_crops = 1
    return_mask = False

    @property
    def parts(self) -> dict[str, "ClipProcessor"]:
        """The processors of a model's inputs, by the inputs' names."""
        return {self.model_input_names[0]: self}

    @property
    def lead(self) -> str:
        """The input whose clips the others follow."""
        return self.model_input_names[0]

    def preprocess(self, videos: Any, **kwargs: Any) -> BatchFeature:
        return preprocess(self, videos, kwargs)

    def make_settings(self, arguments: Mapping[str, Any]) -> SimpleNamespace:
        """The settings of one call; of views, a class has its own where its arguments know none."""
        own = {name: getattr(self, name) for name in ("num_clips", "num_crops", "return_mask")}
        return SimpleNamespace(**{**own, **vars(super().make_settings(arguments))})

    def check_settings(self, settings: SimpleNamespace, *, is_random: bool) -> None:
        """Refuses settings that make no sense together."""

    @abstractmethod
    def sort_sources(self, videos: Any, settings: SimpleNamespace) -> list[Any]:
        """What was handed in, one entry a clip: a reader, a tensor, or what is opened."""

    def check_reader(self, reader: Reader, settings: SimpleNamespace) -> None:  # noqa: ARG002
        """Refuses a reader, of what is open or in memory, that gives something else than this processor takes."""
        if reader.modality != self.modality:
            raise ValueError(f"{reader.name} is {reader.modality}, and {type(self).__name__} takes {self.modality}")

    def hold(self, frames: Tensor, settings: SimpleNamespace, fps: float | None) -> Reader:  # noqa: ARG002
        """A reader of what is in memory, whose rate is None where nobody knows it."""
        return MemoryReader(frames, fps=fps, modality=self.modality)

    @abstractmethod
    def open_file(self, source: Source, settings: SimpleNamespace, span: Span) -> Reader:
        """A reader of a file, or of a part of it."""

    @abstractmethod
    def choose_clips(self, reader: Reader, settings: SimpleNamespace, generator: Generator | None) -> list[Clip]:
        """The clips that settings ask for; with a generator each is drawn."""

    @abstractmethod
    def follow(self, reader: Reader, settings: SimpleNamespace, lead: Lead) -> Clip:
        """The clip that is in step with another one."""

    def choose_decoding_size(self, reader: Reader, settings: SimpleNamespace) -> Size | None:  # noqa: ARG002
        """The size to which the reader is to scale; None where frames are resized later, or not at all."""
        return None

    @abstractmethod
    def prepare(self, frames: Tensor, settings: SimpleNamespace) -> Tensor:
        """Frames (U, ...) on their device and of their size, before any is cropped."""

    @abstractmethod
    def show_clips(
        self, frames: Tensor, clips: Sequence[Clip], settings: SimpleNamespace, changes: Sequence[Change] | None
    ) -> Iterator[Tensor]:
        """What each view shows (T, ...), out of frames (U, ...): every crop of the first clip, then of the second.

        With changes, one for each clip, these take the place of the crops.
        """

    @abstractmethod
    def write_values(self, frames: Tensor, settings: SimpleNamespace, out: Tensor) -> None:
        """Writes what a view shows as the model takes it."""

    def make_values(
        self, frames: Tensor, clips: Sequence[Clip], settings: SimpleNamespace, changes: Sequence[Change] | None
    ) -> Tensor:
        """The values (V, T, ...) of all views."""
        num_views = len(clips) * (settings.num_crops if changes is None else 1)
        views = self.show_clips(frames, clips, settings, changes)
        first = next(views)
        values = torch.empty((num_views, *first.shape), dtype=torch.float32, device=first.device)
        for shown, out in zip(chain([first], views), values, strict=True):
            self.write_values(shown, settings, out)
        return values
