"""A decoded frame becomes an upright RGB tensor of the size that was asked for."""

from dataclasses import dataclass

import av
import numpy as np
import torch
from av.sidedata.sidedata import Type
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

# A target size: the length of the shorter side, or (height, width).
Size = int | tuple[int, int]


@dataclass(frozen=True)
class Orientation:
    """How stored pixels become upright: rows and columns exchanged, then left and right, then up and down."""

    is_transposed: bool = False
    is_mirrored: bool = False
    is_upside_down: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame) -> "Orientation":
        """The orientation that the frame's display matrix names, to the nearest quarter turn."""
        matrix = _display_matrix(frame)
        if matrix is None:
            return cls()
        # x' = a x + c y and y' = b x + d y, as 16.16 numbers; the others shift and scale.
        (a, b, _), (c, d, _), _ = np.frombuffer(matrix, dtype=np.int32).reshape(3, 3).tolist()
        is_transposed = abs(b) + abs(c) > abs(a) + abs(d)
        x, y = (c, b) if is_transposed else (a, d)
        return cls(is_transposed, x < 0, y < 0)

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """An upright view of `image` (..., H, W)."""
        if self.is_transposed:
            image = image.swapaxes(-1, -2)
        rows = slice(None, None, -1 if self.is_upside_down else 1)
        columns = slice(None, None, -1 if self.is_mirrored else 1)
        return image[..., rows, columns]


@dataclass(frozen=True)
class Geometry:
    """The size and the turn of a stored frame."""

    stored_height: int
    stored_width: int
    orientation: Orientation
    rotation_degrees: int

    @classmethod
    def of(cls, frame: av.VideoFrame) -> "Geometry":
        return cls(frame.height, frame.width, Orientation.of(frame), frame.rotation % 360)

    @property
    def displayed_size(self) -> tuple[int, int]:
        height, width = self.stored_height, self.stored_width
        return (width, height) if self.orientation.is_transposed else (height, width)


class FrameConverter:
    """Converts frames to RGB at one size, scaling while converting: the pixels in between are never made.

    All frames come out with the size and the orientation of the first one, whatever the stream does later.
    """

    def __init__(self, geometry: Geometry, size: Size | None) -> None:
        self.orientation = geometry.orientation
        displayed = geometry.displayed_size
        self.height, self.width = displayed if size is None else resized_size(*displayed, size)
        self._reformatter = VideoReformatter()

    def allocate(self, num_frames: int) -> torch.Tensor:
        return torch.empty((num_frames, 3, self.height, self.width), dtype=torch.uint8)

    def convert(self, frame: av.VideoFrame, out: torch.Tensor) -> None:
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
        # numpy copies in this thread; torch would wake its pool for each frame, which costs more than the copy.
        target = out.numpy()
        for channel, image in enumerate(_planar_channels(rgb) if is_scaled else _packed_channels(rgb)):
            target[channel] = self.orientation.apply(image)


def resized_size(height: int, width: int, size: Size) -> tuple[int, int]:
    """The height and width that `size` asks for, the longer side rounded down as torchvision has it."""
    sides = (size,) if isinstance(size, int) else tuple(size)
    if len(sides) not in (1, 2) or any(side < 1 for side in sides):
        raise ValueError(f"size is {size}; it must be a positive shorter side or (height, width)")
    if len(sides) == 2:
        return sides
    shortest = min(height, width)
    return height * sides[0] // shortest, width * sides[0] // shortest


def _display_matrix(frame: av.VideoFrame) -> bytes | None:
    try:
        data = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload] # missing in its stub
    except ValueError:  # PyAV does not know a kind that the frame carries, such as EXIF, and gives none at all
        return None
    return None if data is None else bytes(data)


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
