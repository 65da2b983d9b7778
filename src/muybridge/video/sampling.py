"""Which frames make a clip: functions from the times of a video's frames, or their number alone, to `Clip`.

One set of functions serves evaluation and training: with a generator a sampler draws, without one it takes what lies
in the middle or evenly over the video.

`total` is the number of frames of the video, `num_frames` that of a clip, and `stride` the distance between two frames
of a clip, which need not be whole. `edges_seconds` tells when each frame comes on display, beginning with 0, and at its
end when the last one goes. A clip that reaches past the end of the video repeats the last frame, and its mask is False
there (`Clip.held`).
"""

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from muybridge.types import Clip

if TYPE_CHECKING:
    from torch import Generator

TOLERANCE = 1e-6  # 0.3 / 0.1 is 2.9999999999999996: a stride that is whole but for rounding must not lose a frame
MAX_TICK_SECONDS = 0.001  # Matroska's clock, the coarsest that rounds the times of frames


def sample_uniform(*, total: int, num_frames: int) -> Clip:
    """Frames spread over the whole video: frame k is `k × total // num_frames`, as transformers samples."""
    _check_counts(total=total, num_frames=num_frames)
    positions = np.arange(num_frames)
    return Clip.held(positions * total // num_frames if total >= num_frames else positions, total)


def sample_interleaved(*, total: int, num_clips: int, num_frames: int) -> list[Clip]:
    """Clips spread over the whole video, each a little after the last; the first is that of `sample_uniform`."""
    _check_counts(total=total, num_clips=num_clips, num_frames=num_frames)
    if total < num_frames:
        return [sample_uniform(total=total, num_frames=num_frames)] * num_clips
    positions = np.arange(num_frames * num_clips) * total // (num_frames * num_clips)
    return [Clip(positions[first::num_clips]) for first in range(num_clips)]


def sample_strided(*, total: int, num_frames: int) -> Clip:
    """Every `total // num_frames`-th frame, or every one of a shorter video, from the first on."""
    _check_counts(total=total, num_frames=num_frames)
    return Clip.held(np.arange(num_frames) * max(total // num_frames, 1), total)


def sample_segments(
    *, total: int, num_segments: int, frames_per_segment: int = 1, generator: "Generator | None" = None
) -> Clip:
    """Short runs of frames, one in each of `num_segments` equal parts (Temporal Segment Networks, Wang et al. 2016).

    Each run lies in the middle of its part; with a generator it lies anywhere in it.
    """
    _check_counts(total=total, num_segments=num_segments, frames_per_segment=frames_per_segment)
    num_frames = num_segments * frames_per_segment
    if total < num_frames:
        return Clip.held(np.arange(num_frames), total)
    num_starts = total - frames_per_segment + 1
    edges = np.arange(num_segments + 1) * num_starts // num_segments
    if generator is None:
        starts = (2 * np.arange(num_segments) + 1) * num_starts // (2 * num_segments)
    else:
        starts = np.array([_draw_integer(low, high, generator) for low, high in pairwise(edges.tolist())])
    return Clip.held((starts[:, None] + np.arange(frames_per_segment)).reshape(-1), total)


def sample_dense(
    *,
    edges_seconds: NDArray[np.float64],
    num_frames: int,
    num_clips: int = 1,
    stride: float = 1,
    fps: float | None = None,
    generator: "Generator | None" = None,
) -> list[Clip]:
    """Clips of frames `stride` apart: evenly from the start of the video to its end, or a single one in the middle.

    With `fps`, the stride is counted at that rate, whatever the video's: frame k is the one on display `k × stride /
    fps` seconds after the first, and clips lie evenly in time. With a generator every clip starts at random, each frame
    at which it fits being as likely.
    """
    _check_edges(edges_seconds)
    _check_counts(num_frames=num_frames, num_clips=num_clips)
    _check_rates(stride=stride)
    if fps is None:
        return _sample_by_number(len(edges_seconds) - 1, num_frames, num_clips, stride, generator)
    _check_rates(fps=fps)
    offsets = np.arange(num_frames) * stride / fps
    last_start = _find_last_start(edges_seconds, offsets)
    if generator is not None:
        starts = np.array(choose_starts(last_start, num_clips, generator))
    else:
        shares = np.arange(num_clips) / (num_clips - 1) if num_clips > 1 else np.array([0.5])
        starts = find_frames_on_display(edges_seconds, edges_seconds[last_start] * shares).indices
    return [find_frames_on_display(edges_seconds, edges_seconds[start] + offsets) for start in starts]


def choose_starts(last_start: int, num_clips: int, generator: "Generator | None" = None) -> list[int]:
    """The starts of clips: evenly from 0 to the last one, a single one in the middle; with a generator, at random."""
    if generator is not None:
        return [_draw_integer(0, last_start + 1, generator) for _ in range(num_clips)]
    if num_clips == 1:
        return [last_start // 2]
    return [index * last_start // (num_clips - 1) for index in range(num_clips)]


def sample_consecutive(*, total: int, num_frames: int, stride: float = 1, step: int | None = None) -> list[Clip]:
    """Clips one after the other until every frame of the video is passed, `step` frames between their starts.

    Without a step they touch and do not overlap. The last one may reach past the end.
    """
    _check_counts(total=total, num_frames=num_frames)
    _check_rates(stride=stride)
    offsets = _count_offsets(num_frames, stride)
    if step is None:
        step = math.ceil(num_frames * stride)
    _check_counts(step=step)
    num_clips = 1 + max(0, math.ceil((total - 1 - int(offsets[-1])) / step))
    return [Clip.held(index * step + offsets, total) for index in range(num_clips) if index * step < total]


def resample_frames(*, edges_seconds: NDArray[np.float64], fps: float) -> Clip:
    """All of a video as a camera of `fps` would have taken it: what is on display at `k / fps` seconds."""
    _check_edges(edges_seconds)
    _check_rates(fps=fps)
    num_frames = max(1, math.ceil((edges_seconds[-1] - _tolerance_seconds(edges_seconds)) * fps))
    return find_frames_on_display(edges_seconds, np.arange(num_frames) / fps)


def sample_around(
    *,
    edges_seconds: NDArray[np.float64],
    middle_seconds: float,
    num_frames: int,
    stride: float = 1,
    fps: float | None = None,
) -> Clip:
    """A clip as `sample_dense` makes it, with its middle at a moment, as far as it fits into the video."""
    _check_edges(edges_seconds)
    _check_counts(num_frames=num_frames)
    _check_rates(stride=stride)
    if fps is None:
        total = len(edges_seconds) - 1
        offsets = _count_offsets(num_frames, stride)
        middle = np.interp(middle_seconds, edges_seconds, np.arange(total + 1))
        start = math.floor(middle - num_frames * stride / 2 + 0.5)
        return Clip.held(min(max(start, 0), max(0, total - 1 - int(offsets[-1]))) + offsets, total)
    _check_rates(fps=fps)
    moments = np.arange(num_frames) * stride / fps
    nearest = np.abs(edges_seconds[:-1] - (middle_seconds - num_frames * stride / fps / 2)).argmin()
    start = min(int(nearest), _find_last_start(edges_seconds, moments))
    return find_frames_on_display(edges_seconds, edges_seconds[start] + moments)


def find_frames_on_display(edges_seconds: NDArray[np.float64], moments_seconds: NDArray[np.float64]) -> Clip:
    """The frame on display at each moment; the last one is held after the end."""
    moments = moments_seconds + _tolerance_seconds(edges_seconds)
    return Clip.held(np.searchsorted(edges_seconds, moments, side="right") - 1, len(edges_seconds) - 1)


def _sample_by_number(
    total: int, num_frames: int, num_clips: int, stride: float, generator: "Generator | None"
) -> list[Clip]:
    offsets = _count_offsets(num_frames, stride)
    last_start = max(0, total - 1 - int(offsets[-1]))  # 0 where a clip never fits
    return [Clip.held(start + offsets, total) for start in choose_starts(last_start, num_clips, generator)]


def _count_offsets(num_frames: int, stride: float) -> NDArray[np.int64]:
    return np.floor(np.arange(num_frames) * stride + TOLERANCE).astype(np.int64)


def _find_last_start(edges_seconds: NDArray[np.float64], offsets_seconds: NDArray[Any]) -> int:
    """The last frame at which a clip can start and still end inside the video; 0 where it never fits."""
    latest = edges_seconds[-1] - offsets_seconds[-1] - _tolerance_seconds(edges_seconds)
    return max(0, int(np.searchsorted(edges_seconds[:-1], latest)) - 1)


def _tolerance_seconds(edges_seconds: NDArray[np.float64]) -> float:
    """How far a frame's time may lie behind the moment that it stands for.

    At a constant rate frames lie equally far apart, or a tick more or less where the file's clock rounds them.
    """
    distances = np.diff(edges_seconds[:-1])  # the last frame's duration may be a guess
    spread = float(np.ptp(distances)) if len(distances) else 0.0
    return min(spread, MAX_TICK_SECONDS) + TOLERANCE


def _draw_integer(low: int, high: int, generator: "Generator") -> int:
    import torch  # here, so that videos are described without it

    return int(torch.randint(low, high, (), generator=generator))


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be 1 or more")


def _check_edges(edges_seconds: NDArray[np.float64]) -> None:
    if len(edges_seconds) < 2 or edges_seconds[0] != 0 or np.any(np.diff(edges_seconds) < 0):
        raise ValueError(
            f"edges_seconds is {edges_seconds}; it must begin with 0 and rise, with one edge more than there are frames"
        )


def _check_rates(**rates: float) -> None:
    for name, value in rates.items():
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} is {value}; it must be a positive number")
