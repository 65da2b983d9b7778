"""What processors of frames and of flow have in common: which are taken, how large they are, which crops are made."""

from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Literal

import torch
from PIL.Image import Resampling
from torch import Generator, Tensor
from transformers.processing_utils import VideosKwargs

from muybridge.processing.changes import Change, Manner
from muybridge.processing.clip_processor import ClipProcessor
from muybridge.processing.frame_selection import (
    SELECTION_FIELDS,
    check_selection,
    choose_clips,
    take_all_frames,
    takes_all_frames,
)
from muybridge.processing.functional import Modality
from muybridge.processing.inputs import as_videos
from muybridge.processing.parts import Lead, find_edges
from muybridge.processing.settings import find_interpolation, require_exact_size
from muybridge.processing.steps import crop_frames
from muybridge.types import Clip
from muybridge.video import MemoryReader, Reader, find_frames_on_display, sample_around


class PictureProcessorKwargs(VideosKwargs, total=False):  # type: ignore[call-arg]
    """Our arguments beside transformers'.

    source: the name of the reader, where a clip has several; another camera has a name of its own.
    sampling: how `num_frames` frames are chosen. "uniform": spread over the video. "dense": `frame_stride`
        apart, in the middle of the video. "segments": one in the middle of each of `num_frames` equal parts.
        "strided": every n-th from the first on, n being the whole part of how often `num_frames` go into the video.
    frame_stride: how far the frames of a dense clip lie apart, counted at `fps` where that is set.
    fps: with "dense", or without `num_frames`, the rate to which the video is resampled first. Frames handed
        in as tensors are taken to have it already, unless `video_metadata` gives their own `fps`.
    num_clips: clips over the whole video. "dense": evenly, the first at its start and the last at its end.
        "uniform": interleaved, so that together they see `num_clips` times as many frames.
    num_crops: 1 (the middle), 3 (along the longer side), 5 (corners and middle), 10 (the five, and mirrored).
    return_mask: adds `frame_mask`, False where a short video's last frame was repeated.
    antialias: False leaves out pixels where it shrinks frames, as OpenCV does, and resizes after decoding.
    """

    source: str
    frame_stride: int | float
    sampling: Literal["uniform", "dense", "segments", "strided"]
    num_clips: int
    num_crops: int
    return_mask: bool
    antialias: bool


class PictureProcessor(ClipProcessor):
    """Frames or flow: chosen, resized, cropped."""

    modality: Modality

    do_sample_frames = True
    sampling = "uniform"
    num_frames = 16
    frame_stride = 1
    fps: float | None = None
    do_resize = True
    size: Mapping[str, int] = {"shortest_edge": 256}
    resample = Resampling.BILINEAR
    antialias = True
    do_center_crop = True
    crop_size: Mapping[str, int] = {"height": 224, "width": 224}

    @classmethod
    def size_fields(cls, side: int) -> dict[str, Mapping[str, int]]:
        """What makes it give frames of side×side: squeezed where the class squeezes its own, or else cropped."""
        own, square = dict(cls.crop_size), {"height": side, "width": side}
        if own == square:
            return {}
        return {"size": square if dict(cls.size) == own else {"shortest_edge": side}, "crop_size": square}

    def check_settings(self, settings: SimpleNamespace, *, is_random: bool) -> None:
        check_selection(settings, is_random=is_random)

    def sort_sources(self, videos: Any, settings: SimpleNamespace) -> list[Any]:
        return list(as_videos(videos, settings.input_data_format))

    def choose_clips(self, reader: Reader, settings: SimpleNamespace, generator: Generator | None) -> list[Clip]:
        if is_clip_already(reader, settings):
            return [take_all_frames(len(reader))] * settings.num_clips
        return choose_clips(find_edges(reader, settings), settings, generator)

    def follow(self, reader: Reader, settings: SimpleNamespace, lead: Lead) -> Clip:
        """What is on display with each frame of the lead; or around its middle, where other frames are asked for."""
        if is_clip_already(reader, settings):
            return take_all_frames(len(reader))
        edges_seconds = find_edges(reader, settings)
        if all(getattr(settings, name) == getattr(lead.settings, name, None) for name in SELECTION_FIELDS):
            clip = find_frames_on_display(edges_seconds, lead.moments_seconds)
            return Clip(clip.indices, clip.mask & lead.clip.mask)
        if settings.sampling != "dense" or settings.num_frames is None or takes_all_frames(settings):
            raise ValueError(
                f"an input takes other frames than the one that leads, and its sampling is {settings.sampling!r}; only "
                "'dense' can be laid around other frames: use it, or the same num_frames, sampling, frame_stride "
                "and fps"
            )
        return sample_around(
            edges_seconds=edges_seconds,
            middle_seconds=lead.middle_seconds,
            num_frames=settings.num_frames,
            stride=settings.frame_stride,
            fps=settings.fps,
        )

    def show_clips(
        self, frames: Tensor, clips: Sequence[Clip], settings: SimpleNamespace, changes: Sequence[Change] | None
    ) -> Iterator[Tensor]:
        if changes is not None:
            manner = self.make_manner(settings)
            for clip, change in zip(clips, changes, strict=True):
                yield change.apply(take_frames(frames, clip), manner)
            return
        crops = crop_frames(frames, settings, self.modality)
        for clip in clips:
            for crop in crops:
                yield take_frames(crop, clip)

    def make_manner(self, settings: SimpleNamespace) -> Manner:
        """How changes are applied to these frames."""
        size = settings.crop_size if settings.do_center_crop else settings.size
        is_exact = size is not None and set(dict(size)) == {"height", "width"}
        return Manner(
            modality=self.modality,
            size=require_exact_size(size) if is_exact else None,
            interpolation=find_interpolation(settings.resample),
            antialias=settings.antialias,
        )


def is_clip_already(reader: Reader, settings: SimpleNamespace) -> bool:
    """Whether frames in memory are as many as a clip has: then they are not sampled again."""
    return isinstance(reader, MemoryReader) and settings.do_sample_frames and len(reader) == settings.num_frames


def take_frames(frames: Tensor, clip: Clip) -> Tensor:
    """The frames (T, ...) of a clip."""
    return frames[torch.from_numpy(clip.indices).to(frames.device)]
