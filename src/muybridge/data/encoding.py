"""Encodes videos again: smaller, and with keyframes close to each other, so that any clip is found quickly."""

import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import av
    from torch import Tensor

    from muybridge.video import VideoReader

CLOCK_HZ = 90_000  # the ticks of MPEG; the frames of every usual rate fall on one
QUALITY = {"crf": "18", "preset": "veryfast"}  # 18 looks like the original; slower presets save little room


@dataclass(frozen=True)
class Encoding:
    """H.264 without sound: the shorter side in pixels, None for the video's own, and how far keyframes lie apart."""

    short_side: int | None = None
    keyframe_interval: int = 12

    def __post_init__(self) -> None:
        if self.short_side is not None and self.short_side < 16:
            raise ValueError(f"short_side is {self.short_side}; it must be 16 or more")
        if self.keyframe_interval < 1:
            raise ValueError(f"keyframe_interval is {self.keyframe_interval}; it must be 1 or more")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the result: never larger than the video, and even, as H.264's colours need."""
        scale = min(1.0, (self.short_side or min(height, width)) / min(height, width))
        return max(2, round(height * scale / 2) * 2), max(2, round(width * scale / 2) * 2)


def encode(reader: "VideoReader", encoding: Encoding) -> bytes:
    """The reader's frames at their times as an .mp4 file."""
    import av

    len(reader)  # what makes the reader's metadata exact
    known = reader.metadata
    height, width = encoding.size(known.height, known.width)
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        rate = Fraction(known.fps or 25).limit_denominator(1001)
        interval = {"g": str(encoding.keyframe_interval), "keyint_min": "1"}
        stream = container.add_stream("libx264", rate=rate, options={**QUALITY, **interval})
        stream.height, stream.width = height, width
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, CLOCK_HZ)
        for image, tick in zip(read_images(reader, (height, width)), count_ticks(reader), strict=True):
            container.mux(stream.encode(make_frame(image, tick)))
        container.mux(stream.encode(None))
    return file.getvalue()


def read_images(reader: "VideoReader", size: tuple[int, int]) -> "Iterator[Tensor]":
    """Each frame (H, W, C)."""
    return (frame.permute(1, 2, 0) for batch in reader.batches(size=size) for frame in batch)


def count_ticks(reader: "VideoReader") -> list[int]:
    """When each frame is displayed, in ticks, no two at once."""
    rounded = np.round(reader.frame_seconds * CLOCK_HZ).astype(np.int64)
    steps = np.arange(len(rounded))
    return (np.maximum.accumulate(rounded - steps) + steps).tolist()


def make_frame(image: "Tensor", tick: int) -> "av.VideoFrame":
    from av import VideoFrame

    frame = VideoFrame.from_ndarray(image.contiguous().numpy(), format="rgb24")
    frame.pts, frame.time_base = tick, Fraction(1, CLOCK_HZ)
    return frame
