"""A decoded frame becomes upright RGB of the size that was asked for."""

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from muybridge.video.geometry import Geometry, Size, resized_size


class FrameConverter:
    """Converts frames to RGB at one size, scaling while converting: the pixels in between are never made.

    All frames come out with the size and the orientation of the first one, whatever the stream does later.
    """

    def __init__(self, geometry: Geometry, size: Size | None) -> None:
        self.orientation = geometry.orientation
        displayed = geometry.displayed_size
        self.height, self.width = displayed if size is None else resized_size(*displayed, size)
        self._reformatter = VideoReformatter()

    def output_shape(self, num_frames: int) -> tuple[int, int, int, int]:
        """The shape (T, 3, H, W) of so many converted frames."""
        return num_frames, 3, self.height, self.width

    def convert(self, frame: av.VideoFrame, out: NDArray[np.uint8]) -> None:
        """Writes the frame into `out` (3, H, W)."""
        upright = (self.height, self.width)
        height, width = upright[::-1] if self.orientation.is_transposed else upright
        # Scaled, planar RGB is the faster. Unscaled, packed RGB is what ffmpeg's users get to the last bit.
        is_scaled = (frame.height, frame.width) != (height, width)
        rgb = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="gbrp" if is_scaled else "rgb24",
            threads=1,  # swscale's own would be started for each reader, and decoding takes longer
        )
        for channel, image in enumerate(_planar_channels(rgb) if is_scaled else _packed_channels(rgb)):
            out[channel] = self.orientation.apply(image)


def _packed_channels(frame: av.VideoFrame) -> list[NDArray[np.uint8]]:
    """Red, green and blue (H, W) of an rgb24 frame, whose lines are padded."""
    plane = frame.planes[0]
    lines = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(frame.height, plane.line_size)
    return [lines[:, channel : 3 * frame.width : 3] for channel in range(3)]


def _planar_channels(frame: av.VideoFrame) -> list[NDArray[np.uint8]]:
    """Red, green and blue (H, W) of a gbrp frame, which keeps them in another order."""
    green, blue, red = (
        np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(frame.height, plane.line_size)
        for plane in frame.planes
    )
    return [channel[:, : frame.width] for channel in (red, green, blue)]
