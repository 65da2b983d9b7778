"""How large a frame is, which way up it lies, and how large it is to become."""

from dataclasses import dataclass

import av
import numpy as np
from av.sidedata.sidedata import Type
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
    def from_frame(cls, frame: av.VideoFrame) -> "Orientation":
        """The orientation that the frame's display matrix names, to the nearest quarter turn."""
        matrix = _read_display_matrix(frame)
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
    def from_frame(cls, frame: av.VideoFrame) -> "Geometry":
        return cls(frame.height, frame.width, Orientation.from_frame(frame), frame.rotation % 360)

    @property
    def displayed_size(self) -> tuple[int, int]:
        height, width = self.stored_height, self.stored_width
        return (width, height) if self.orientation.is_transposed else (height, width)


def resized_size(height: int, width: int, size: Size) -> tuple[int, int]:
    """The height and width that `size` asks for, the longer side rounded down as torchvision has it."""
    sides = (size,) if isinstance(size, int) else tuple(size)
    if len(sides) not in (1, 2) or any(side < 1 for side in sides):
        raise ValueError(f"size is {size}; it must be a positive shorter side or (height, width)")
    if len(sides) == 2:
        return sides
    shortest = min(height, width)
    return height * sides[0] // shortest, width * sides[0] // shortest


def _read_display_matrix(frame: av.VideoFrame) -> bytes | None:
    try:
        data = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload] # missing in its stub
    except ValueError:  # PyAV does not know a kind that the frame carries, such as EXIF, and gives none at all
        return None
    return None if data is None else bytes(data)
