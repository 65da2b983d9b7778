"""A decoded frame becomes an upright RGB tensor of the size that was asked for."""

from dataclasses import dataclass

import av
import numpy as np
import torch
from av.sidedata.sidedata import Type
from av.video.reformatter import VideoReformatter

Size = int | tuple[int, int] | None


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

    def apply(self, image: torch.Tensor) -> torch.Tensor:
        """An upright view of `image` (C, H, W), or a copy where it has to be flipped."""
        if self.is_transposed:
            image = image.transpose(-1, -2)
        axes = [axis for axis, flipped in ((-1, self.is_mirrored), (-2, self.is_upside_down)) if flipped]
        return image.flip(axes) if axes else image


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

    def __init__(self, geometry: Geometry, size: Size) -> None:
        self.orientation = geometry.orientation
        self.height, self.width = target_size(*geometry.displayed_size, size)
        self._reformatter = VideoReformatter()

    def allocate(self, num_frames: int) -> torch.Tensor:
        return torch.empty((num_frames, 3, self.height, self.width), dtype=torch.uint8)

    def convert(self, frame: av.VideoFrame, out: torch.Tensor) -> None:
        """Writes the frame into `out` (3, H, W)."""
        stored = (self.height, self.width)
        height, width = stored[::-1] if self.orientation.is_transposed else stored
        # One thread: swscale's own would be started for each reader, and decoding is the longer part.
        rgb = self._reformatter.reformat(frame, width=width, height=height, format="rgb24", threads=1)
        plane = rgb.planes[0]
        pixels = torch.from_numpy(np.frombuffer(memoryview(plane), dtype=np.uint8))
        image = pixels.as_strided((3, height, width), (1, plane.line_size, 3))  # lines are padded
        out.copy_(self.orientation.apply(image))


def target_size(height: int, width: int, size: Size) -> tuple[int, int]:
    """The height and width that `size` asks for: one number is the shorter side, the shape kept."""
    if size is None:
        return height, width
    sides = (size,) if isinstance(size, int) else tuple(size)
    if len(sides) not in (1, 2) or any(side < 1 for side in sides):
        raise ValueError(f"size is {size}; it must be None, a positive shortest side or (height, width)")
    if len(sides) == 2:
        return sides
    shortest = min(height, width)
    return max(1, height * sides[0] // shortest), max(1, width * sides[0] // shortest)


def _display_matrix(frame: av.VideoFrame) -> bytes | None:
    try:
        data = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload] # missing in its stub
    except ValueError:  # PyAV does not know a kind that the frame carries, such as EXIF, and gives none at all
        return None
    return None if data is None else bytes(data)
