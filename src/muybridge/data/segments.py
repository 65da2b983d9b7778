"""A part of a video, read as if it were a video of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from muybridge.types import VideoMetadata
from muybridge.video import VideoError, VideoReader


class SegmentReader(VideoReader):
    """The frames of a video that come on display at `start_seconds` or later, and before `end_seconds`.

    Frame 0 is the first of them. An end past the video's is the video's end; a segment without a frame is an error.
    """

    def __init__(self, source: Any, *, start_seconds: float = 0.0, end_seconds: float | None = None) -> None:
        super().__init__(source)
        try:
            self._first, self._stop = self._find_bounds(start_seconds, end_seconds)
        except VideoError:
            self.close()
            raise

    def _find_bounds(self, start_seconds: float, end_seconds: float | None) -> tuple[int, int]:
        seconds = super().frame_seconds
        first, stop = np.searchsorted(seconds, [start_seconds, np.inf if end_seconds is None else end_seconds])
        if first == stop:
            end = "the end" if end_seconds is None else f"{end_seconds:g} s"
            reason = f"no frame comes on display from {start_seconds:g} s to {end}"
            raise VideoError(self._source.name, f"{reason}; the last one of the video does at {seconds[-1]:g} s")
        return int(first), int(stop)

    def __len__(self) -> int:
        return self._stop - self._first

    @property
    def metadata(self) -> VideoMetadata:
        whole = super().metadata
        edges = np.append(super().frame_seconds, float(self.index.duration_seconds))
        return replace(whole, num_frames=len(self), duration_seconds=float(edges[self._stop] - edges[self._first]))

    @property
    def frame_seconds(self) -> NDArray[np.float64]:
        """When each frame is displayed, counted from the segment's first."""
        seconds = super().frame_seconds[self._first : self._stop]
        return seconds - seconds[0]

    def frames_at(self, indices: Sequence[int] | NDArray[Any] | torch.Tensor, size: Any = None) -> torch.Tensor:
        numbers = np.asarray(indices, dtype=np.int64).reshape(-1)
        outside = numbers[(numbers < -len(self)) | (numbers >= len(self))]
        if len(outside):
            raise IndexError(f"frame {outside[0]} is not in {self!r}, which has {len(self)} frames")
        return super().frames_at(self._first + np.where(numbers < 0, numbers + len(self), numbers), size)

    def frames_at_seconds(
        self, seconds: Sequence[float] | NDArray[Any] | torch.Tensor, size: Any = None
    ) -> torch.Tensor:
        times = np.asarray(seconds, dtype=np.float64).reshape(-1)
        duration = self.metadata.duration_seconds or 0.0
        outside = times[~((times >= 0) & (times <= duration))]
        if len(outside):
            raise IndexError(f"{outside[0]} s is not in {self!r}, which lasts {duration:.3f} s")
        numbers = np.searchsorted(self.frame_seconds, times, side="right") - 1
        return self.frames_at(numbers, size)

    def batches(self, batch_size: int = 32, size: Any = None) -> Iterator[torch.Tensor]:
        for start in range(0, len(self), batch_size):
            yield self.frames_at(range(start, min(start + batch_size, len(self))), size)

    def __repr__(self) -> str:
        return f"SegmentReader({self._source.name!r}, frames [{self._first}, {self._stop}))"

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "bounds": (self._first, self._stop)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._first, self._stop = state["bounds"]
        super().__setstate__(state)
