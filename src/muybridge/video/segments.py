"""A part of a video, read as if it were a file of its own."""

from collections.abc import Iterator
from typing import Any

import torch

from muybridge.video.errors import VideoError
from muybridge.video.geometry import Size
from muybridge.video.index import FrameIndex
from muybridge.video.reader import VideoReader, check_batch_size


class SegmentReader(VideoReader):
    """The frames of a video that come on display at `start_seconds` or later, and before `end_seconds`.

    Everything is as in the file that ffmpeg cuts out with these times: frame 0 is the first of the segment, and times
    are counted from it. An end past the video's is the video's end; a segment without a frame is an error.
    """

    def __init__(
        self,
        source: Any,
        *,
        start_seconds: float = 0.0,
        end_seconds: float | None = None,
        num_threads: int | None = None,
    ) -> None:
        self.start_seconds = start_seconds
        self.end_seconds = end_seconds
        super().__init__(source, num_threads=num_threads)
        try:
            len(self)
        except VideoError:
            self.close()
            raise

    def batches(self, batch_size: int = 32, size: Size | None = None) -> Iterator[torch.Tensor]:
        """All frames in order, `batch_size` at a time (T, C, H, W); the last batch may be smaller."""
        check_batch_size(batch_size)
        for start in range(0, len(self), batch_size):
            yield self.frames_at(range(start, min(start + batch_size, len(self))), size)

    def _narrow(self, index: FrameIndex) -> FrameIndex:
        return cut_segment(index, self.start_seconds, self.end_seconds, self.name)

    def __repr__(self) -> str:
        end = "" if self.end_seconds is None else f"{self.end_seconds:g}"
        return f"SegmentReader({self.name!r}, [{self.start_seconds:g}, {end}) s)"

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "start_seconds": self.start_seconds, "end_seconds": self.end_seconds}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.start_seconds, self.end_seconds = state["start_seconds"], state["end_seconds"]
        super().__setstate__(state)


def cut_segment(index: FrameIndex, start_seconds: float, end_seconds: float | None, name: str) -> FrameIndex:
    """The index of a part of a video, which must have a frame."""
    part = index.cut(start_seconds, end_seconds)
    if not len(part):
        end = "the end" if end_seconds is None else f"{end_seconds:g} s"
        reason = f"no frame comes on display from {start_seconds:g} s to {end}"
        raise VideoError(name, f"{reason}; the last one of the video does at {index.seconds[-1]:g} s")
    return part
