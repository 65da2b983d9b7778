"""Which frames of a video a processor's settings ask for, and how clips share them."""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray
from torch import Generator

from muybridge.types import Clip
from muybridge.video import (
    resample_frames,
    sample_dense,
    sample_interleaved,
    sample_segments,
    sample_strided,
)

# The settings that decide which frames are taken.
SELECTION_FIELDS = ("do_sample_frames", "sampling", "num_frames", "frame_stride", "fps")


def choose_clips(
    edges_seconds: NDArray[np.float64], settings: SimpleNamespace, generator: Generator | None = None
) -> list[Clip]:
    """The `num_clips` clips that settings ask for, out of frames with these times; a video taken whole is one clip.

    With a generator every clip is drawn: a dense one starts anywhere, and of the others each frame lies anywhere in its
    part of the video.
    """
    total = len(edges_seconds) - 1
    if takes_all_frames(settings):
        return [take_all_frames(total)]
    if settings.num_frames is None:
        return [resample_frames(edges_seconds=edges_seconds, fps=settings.fps)]
    if settings.sampling == "dense":
        return sample_dense(
            edges_seconds=edges_seconds,
            num_frames=settings.num_frames,
            num_clips=settings.num_clips,
            stride=settings.frame_stride,
            fps=settings.fps,
            generator=generator,
        )
    if generator is not None:
        return [
            sample_segments(total=total, num_segments=settings.num_frames, generator=generator)
            for _ in range(settings.num_clips)
        ]
    if settings.sampling == "uniform":
        return sample_interleaved(total=total, num_clips=settings.num_clips, num_frames=settings.num_frames)
    if settings.sampling == "strided":
        return [sample_strided(total=total, num_frames=settings.num_frames)]
    return [sample_segments(total=total, num_segments=settings.num_frames)]


def check_selection(settings: SimpleNamespace, *, is_random: bool = False) -> None:
    """Refuses settings that make no sense together."""
    if settings.fps is not None and settings.fps <= 0:
        raise ValueError(f"fps is {settings.fps}; it must be positive, or None for the video's own")
    if takes_all_frames(settings) or settings.num_frames is None:
        if is_random:
            raise ValueError("num_frames is None; clips that are drawn at random need one length")
        return
    if settings.sampling == "dense":
        return
    if settings.fps is not None or settings.frame_stride != 1:
        raise ValueError(
            f"sampling is {settings.sampling!r}, fps {settings.fps} and stride {settings.frame_stride}: "
            f"pass sampling='dense', to which these belong, or fps=None and frame_stride=1"
        )
    if settings.sampling in ("segments", "strided") and settings.num_clips != 1 and not is_random:
        raise ValueError(
            f"num_clips is {settings.num_clips}; sampling {settings.sampling!r} makes one clip of the whole video; use "
            "num_clips=1, or a protocol of one clip"
        )


def takes_all_frames(settings: SimpleNamespace) -> bool:
    return not settings.do_sample_frames or (settings.num_frames is None and settings.fps is None)


def take_all_frames(total: int) -> Clip:
    """Every frame of a video."""
    return Clip(np.arange(total))


def share_frames(clips: Sequence[Clip]) -> tuple[NDArray[np.int64], list[Clip]]:
    """The frames that any of the clips needs, each once and in order, and the clips as indices into these."""
    needed, positions = np.unique(np.concatenate([clip.indices for clip in clips]), return_inverse=True)
    ends = np.cumsum([len(clip) for clip in clips])
    parts = np.split(positions, ends[:-1])
    return needed, [Clip(part, clip.mask) for part, clip in zip(parts, clips, strict=True)]
