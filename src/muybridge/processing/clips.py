"""Which frames of a video a processor's settings ask for, and how clips share them."""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from muybridge.types import Clip
from muybridge.video import sampling


def choose_clips(
    total: int,
    video_fps: float | None,
    settings: SimpleNamespace,
    edges_seconds: NDArray[np.float64] | None = None,
) -> list[Clip]:
    """The `num_clips` clips of a video of `total` frames; a video taken whole is one clip.

    Frames are resampled by the times of their display, where `edges_seconds` tells these (`sampling.at_times`), and
    by the video's rate elsewhere. A video whose rate is None is taken to have the rate that is asked for.
    """
    if not settings.do_sample_frames or (settings.num_frames is None and settings.fps is None):
        return [whole_clip(total)]
    if settings.fps is not None and settings.fps <= 0:
        raise ValueError(f"fps is {settings.fps}; it must be positive, or None for the video's own")
    if settings.num_frames is None:
        if edges_seconds is not None:
            return [sampling.at_times(edges_seconds=edges_seconds, fps=settings.fps)]
        return [sampling.at_fps(total=total, video_fps=video_fps or settings.fps, fps=settings.fps)]
    if settings.sampling == "dense":
        if settings.fps and edges_seconds is not None:
            return sampling.regular_clips_at_times(
                edges_seconds=edges_seconds,
                fps=settings.fps,
                num_clips=settings.num_clips,
                num_frames=settings.num_frames,
                stride=settings.frame_stride,
            )
        rate_ratio = video_fps / settings.fps if video_fps and settings.fps else 1
        return sampling.regular_clips(
            total=total,
            num_clips=settings.num_clips,
            num_frames=settings.num_frames,
            stride=rate_ratio * settings.frame_stride,
        )
    if settings.fps is not None or settings.frame_stride != 1:
        raise ValueError(
            f"sampling is {settings.sampling!r}, fps {settings.fps} and stride {settings.frame_stride}: "
            f"pass sampling='dense', to which these belong, or fps=None and frame_stride=1"
        )
    if settings.sampling == "uniform":
        return interleaved_clips(total, settings.num_frames, settings.num_clips)
    if settings.num_clips != 1:
        raise ValueError(
            f"num_clips is {settings.num_clips}; sampling {settings.sampling!r} makes one clip of the whole video; use "
            "num_clips=1, or a protocol of one clip"
        )
    if settings.sampling == "strided":
        return [sampling.strided(total=total, num_frames=settings.num_frames)]
    return [sampling.segments(total=total, num_segments=settings.num_frames)]


def whole_clip(total: int) -> Clip:
    """Every frame of a video."""
    return Clip(np.arange(total))


def interleaved_clips(total: int, num_frames: int, num_clips: int) -> list[Clip]:
    """Clips spread over the whole video, each a little after the last; the first is `sampling.uniform`'s."""
    if total < num_frames:
        return [sampling.uniform(total=total, num_frames=num_frames)] * num_clips
    positions = np.arange(num_frames * num_clips) * total // (num_frames * num_clips)
    return [Clip(positions[first::num_clips]) for first in range(num_clips)]


def shared_frames(clips: Sequence[Clip]) -> tuple[NDArray[np.int64], list[Clip]]:
    """The frames that any of the clips needs, each once and in order, and the clips as indices into these."""
    needed, positions = np.unique(np.concatenate([clip.indices for clip in clips]), return_inverse=True)
    ends = np.cumsum([len(clip) for clip in clips])
    parts = np.split(positions, ends[:-1])
    return needed, [Clip(part, clip.mask) for part, clip in zip(parts, clips, strict=True)]


def of_equal_length(clips_of_videos: Sequence[Sequence[Clip]]) -> list[list[Clip]]:
    """Clips as long as the longest: the last frame of the shorter ones is repeated."""
    longest = max(len(clip) for clips in clips_of_videos for clip in clips)
    return [[_held_to(clip, longest) for clip in clips] for clips in clips_of_videos]


def _held_to(clip: Clip, num_frames: int) -> Clip:
    held = Clip.held(range(num_frames), len(clip))
    return Clip(clip.indices[held.indices], clip.mask[held.indices] & held.mask)


def masks_of(clips_of_videos: Sequence[Sequence[Clip]], num_crops: int) -> Tensor:
    """Which frames are real: (B, V, T), for every crop of every clip."""
    masks = np.stack([[clip.mask for clip in clips] for clips in clips_of_videos])
    return torch.from_numpy(masks).repeat_interleave(num_crops, dim=1)
