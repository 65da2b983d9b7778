"""Which frames make a clip: functions from numbers to `Clip`, without a video.

`total` is the number of frames of the video, `num_frames` that of a clip, `stride` the distance between two
of its frames, which need not be whole: frame k lies at `floor(k × stride)` from the first. A clip that
reaches past the end of the video repeats the last frame, and its mask is False there (`Clip.held`).
"""

import math
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from muybridge.types import Clip


def uniform(*, total: int, num_frames: int) -> Clip:
    """Frames spread over the whole video: frame k is `k × total // num_frames`, as transformers samples."""
    _check_counts(total=total, num_frames=num_frames)
    positions = np.arange(num_frames)
    return Clip.held(positions * total // num_frames if total >= num_frames else positions, total)


def strided(*, total: int, num_frames: int) -> Clip:
    """Every `total // num_frames`-th frame, or every one of a shorter video, from the first on."""
    _check_counts(total=total, num_frames=num_frames)
    return Clip.held(np.arange(num_frames) * max(total // num_frames, 1), total)


def dense(*, total: int, num_frames: int, stride: float = 1, start: int | None = None) -> Clip:
    """Frames `stride` apart from `start` on; without a start, in the middle of the video."""
    _check_counts(total=total, num_frames=num_frames)
    offsets = _offsets(num_frames, stride)
    if start is None:
        start = _last_start(total, offsets) // 2
    if not 0 <= start < total:
        raise ValueError(f"start is {start}; it must lie in [0, {total}), the frames of the video")
    return Clip.held(start + offsets, total)


def segments(
    *, total: int, num_segments: int, frames_per_segment: int = 1, generator: torch.Generator | None = None
) -> Clip:
    """Short runs of frames, one in each of `num_segments` equal parts (Temporal Segment Networks, Wang et al.
    2016).

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
        starts = np.array([_random_integer(low, high, generator) for low, high in pairwise(edges.tolist())])
    return Clip.held((starts[:, None] + np.arange(frames_per_segment)).reshape(-1), total)


def random_clip(*, total: int, num_frames: int, stride: float = 1, generator: torch.Generator) -> Clip:
    """Frames `stride` apart from a random start, every start at which the clip fits being as likely."""
    _check_counts(total=total, num_frames=num_frames)
    last_start = _last_start(total, _offsets(num_frames, stride))
    start = _random_integer(0, last_start + 1, generator)
    return dense(total=total, num_frames=num_frames, stride=stride, start=start)


def regular_clips(*, total: int, num_clips: int, num_frames: int, stride: float = 1) -> list[Clip]:
    """Clips evenly over the video, the first at its start and the last at its end; one lies in its middle."""
    _check_counts(total=total, num_clips=num_clips, num_frames=num_frames)
    if num_clips == 1:
        return [dense(total=total, num_frames=num_frames, stride=stride)]
    last_start = _last_start(total, _offsets(num_frames, stride))
    starts = [index * last_start // (num_clips - 1) for index in range(num_clips)]
    return [dense(total=total, num_frames=num_frames, stride=stride, start=start) for start in starts]


def consecutive_clips(*, total: int, num_frames: int, stride: float = 1, step: int | None = None) -> list[Clip]:
    """Clips one after the other until every frame of the video is passed, `step` frames between their starts.

    Without a step they touch and do not overlap. The last one may reach past the end.
    """
    _check_counts(total=total, num_frames=num_frames)
    offsets = _offsets(num_frames, stride)
    if step is None:
        step = math.ceil(num_frames * stride)
    _check_counts(step=step)
    num_clips = 1 + max(0, math.ceil((total - 1 - int(offsets[-1])) / step))
    starts = [index * step for index in range(num_clips) if index * step < total]
    return [dense(total=total, num_frames=num_frames, stride=stride, start=start) for start in starts]


def at_fps(
    *, total: int, video_fps: float, fps: float, num_frames: int | None = None, start: int | None = None
) -> Clip:
    """Frames as a camera of `fps` would have taken them: frame k is `floor(k × video_fps / fps)` from the
    start.

    Without `num_frames`, all of the video from `start` or its first frame on; with it, a clip as `dense`
    places it.
    """
    _check_rates(video_fps=video_fps, fps=fps)
    stride = video_fps / fps
    if num_frames is not None:
        return dense(total=total, num_frames=num_frames, stride=stride, start=start)
    _check_counts(total=total)
    start = 0 if start is None else start
    num_frames = max(1, math.ceil((total - start) / stride - TOLERANCE))
    return dense(total=total, num_frames=num_frames, stride=stride, start=start)


def at_times(*, edges_seconds: NDArray[np.float64], fps: float) -> Clip:
    """All of a video of any rate as a camera of `fps` would have taken it: what is on display at `k / fps` seconds.

    Frame i is on display from `edges_seconds[i]` to `edges_seconds[i + 1]`; the first edge is 0.
    """
    _check_edges(edges_seconds)
    _check_rates(fps=fps)
    num_frames = max(1, math.ceil((edges_seconds[-1] - _tolerance_seconds(edges_seconds)) * fps))
    return _on_display(edges_seconds, np.arange(num_frames) / fps)


def regular_clips_at_times(
    *, edges_seconds: NDArray[np.float64], fps: float, num_clips: int, num_frames: int, stride: float = 1
) -> list[Clip]:
    """`regular_clips` of a video of any rate: frame k is on display `k × stride / fps` seconds after the clip's first.

    The clips lie evenly in time, a single one in the middle. The edges are those of `at_times`.
    """
    _check_edges(edges_seconds)
    _check_counts(num_clips=num_clips, num_frames=num_frames)
    _check_rates(fps=fps, stride=stride)
    offsets = np.arange(num_frames) * stride / fps
    latest = edges_seconds[-1] - offsets[-1] - _tolerance_seconds(edges_seconds)
    last_start = edges_seconds[max(0, np.searchsorted(edges_seconds[:-1], latest) - 1)]
    shares = np.arange(num_clips) / (num_clips - 1) if num_clips > 1 else np.array([0.5])
    starts = edges_seconds[_on_display(edges_seconds, last_start * shares).indices]
    return [_on_display(edges_seconds, start + offsets) for start in starts]


TOLERANCE = 1e-6  # 0.3 / 0.1 is 2.9999999999999996: a stride that is whole but for rounding must not lose a frame
MAX_TICK_SECONDS = 0.001  # Matroska's clock, the coarsest that rounds the times of frames


def _offsets(num_frames: int, stride: float) -> NDArray[np.int64]:
    if not (stride > 0 and math.isfinite(stride)):
        raise ValueError(f"stride is {stride}; it must be a positive number")
    return np.floor(np.arange(num_frames) * stride + TOLERANCE).astype(np.int64)


def _on_display(edges_seconds: NDArray[np.float64], moments_seconds: NDArray[np.float64]) -> Clip:
    """The frame on display at each moment; the last one is held after the end."""
    moments = moments_seconds + _tolerance_seconds(edges_seconds)
    return Clip.held(np.searchsorted(edges_seconds, moments, side="right") - 1, len(edges_seconds) - 1)


def _tolerance_seconds(edges_seconds: NDArray[np.float64]) -> float:
    """How far a frame's time may lie behind the moment that it stands for.

    At a constant rate frames lie equally far apart, or a tick more or less where the file's clock rounds them.
    """
    distances = np.diff(edges_seconds[:-1])  # the last frame's duration may be a guess
    spread = float(np.ptp(distances)) if len(distances) else 0.0
    return min(spread, MAX_TICK_SECONDS) + TOLERANCE


def _last_start(total: int, offsets: NDArray[np.int64]) -> int:
    """The last frame at which a clip can start and still end inside the video; 0 where it never fits."""
    return max(0, total - 1 - int(offsets[-1]))


def _random_integer(low: int, high: int, generator: torch.Generator) -> int:
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
