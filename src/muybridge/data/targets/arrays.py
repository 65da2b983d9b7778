"""Targets that are arrays over a clip: masks, depth, flow. They lie in files beside the video and are read when needed.

Shapes: T frames of H×W pixels; B clips in a batch, padded to the largest T, H and W.
"""

import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from muybridge.data.errors import DataError
from muybridge.data.sources import TarMember
from muybridge.data.targets.base import Place, Row, Size, Target
from muybridge.data.targets.padding import pad
from muybridge.data.targets.registry import register_target
from muybridge.types import VideoMetadata

Values = NDArray[Any]


@dataclass(frozen=True, eq=False)
class ArrayTarget(Target):
    """An array, or the place of a NumPy file with it: .npy, or .npz that holds it under the name of the kind.

    A row holds the name of the file, or the array itself as nested lists.
    """

    dtype: ClassVar[type]
    dtype_kinds: ClassVar[str]  # NumPy's letters for what a file may hold
    num_axes: ClassVar[int] = 3

    values: Values | Place

    def __post_init__(self) -> None:
        if isinstance(self.values, np.ndarray):
            self.check_array(self.values)
        elif not isinstance(self.values, str | TarMember):
            raise TypeError(
                f"{self.kind} is a {type(self.values).__name__}; it must be an array or the place of a file"
            )

    def check_array(self, values: Values) -> None:
        if values.ndim != self.num_axes or values.dtype.kind not in self.dtype_kinds:
            raise ValueError(f"{self.kind} is an array {values.shape} of {values.dtype}; it must be {self.describe()}")

    @classmethod
    def describe(cls) -> str:
        return f"(T, H, W) of {cls.dtype.__name__}"

    def load(self) -> Values:
        """The array; raises a DataError that names the file where that does not hold it."""
        if isinstance(self.values, np.ndarray):
            return self.values.astype(self.dtype, copy=False)
        values = read_array(self.values, self.kind)
        try:
            self.check_array(values)
        except ValueError as error:
            raise DataError(f"{self.values}: {error}") from error
        return values.astype(self.dtype, copy=False)

    @classmethod
    def read(cls, row: Row) -> Self | None:
        value = row.get(cls.kind)
        if isinstance(value, list):
            return cls(np.asarray(value))
        return None if value is None else cls(row.find_file(value))

    def to_row(self) -> dict[str, Any]:
        if not isinstance(self.values, str):
            raise ValueError(f"{self.kind} lies in no file of its own, so no row can name it; write it to one first")
        return {self.kind: self.values}

    @classmethod
    def encode(cls, target: Target | None, _ids: Mapping[str, int]) -> Values:
        return target.load() if isinstance(target, ArrayTarget) else np.zeros((0,) * cls.num_axes, dtype=cls.dtype)

    @classmethod
    def collate(cls, encoded: Sequence[Values]) -> Any:
        values, mask = pad(encoded, num_ragged=3)
        return {cls.kind: values, "mask": mask}

    def resize(self, old: Size, new: Size) -> Self:
        """The array with the nearest value for each new pixel."""
        values = self.load()
        if values.shape[-2:] != old:
            raise DataError(f"{self.kind} is {values.shape[-2:]} and its video {old}, height and width")
        rows, columns = (((np.arange(n) + 0.5) * o / n).astype(int) for o, n in zip(old, new, strict=True))
        return type(self)(values[..., rows[:, None], columns])

    def find_faults(self, video: VideoMetadata) -> Iterator[str]:
        try:
            frames, *_, height, width = self.load().shape
        except DataError as error:
            yield str(error)
            return
        if (height, width) != (video.height, video.width):
            yield f"its frames are {width}×{height} and those of the video {video.width}×{video.height}"
        expected = self.count_frames(video)
        if video.is_num_frames_exact and frames != expected:
            yield f"it has {frames} frames; for the {video.num_frames} of the video it must have {expected}"

    def count_frames(self, video: VideoMetadata) -> int:
        """How long the first axis must be."""
        return video.num_frames

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        mine, others = self.values, other.values
        if isinstance(mine, np.ndarray) and isinstance(others, np.ndarray):
            return np.array_equal(mine, others)
        return type(mine) is type(others) and mine == others

    def __hash__(self) -> int:
        return hash(self.kind)


@register_target
class Masks(ArrayTarget):
    """What each pixel belongs to: 0 is the background, 1, 2, … are things. In a batch: `masks` (B, T, H, W), `mask`."""

    kind = "masks"
    columns = ("masks",)
    title = "which pixel belongs to what: a NumPy file of whole numbers (T, H, W), 0 for the background"
    dtype = np.int32
    dtype_kinds = "bui"


@register_target
class Depth(ArrayTarget):
    """How far away each pixel is; larger is farther. In a batch: `depth` (B, T, H, W), `mask`."""

    kind = "depth"
    columns = ("depth",)
    title = "how far away each pixel is: a NumPy file of numbers (T, H, W), larger is farther"
    dtype = np.float32
    dtype_kinds = "uif"


@register_target
class Flow(ArrayTarget):
    """How far each pixel goes until the next frame, in pixels, u then v. In a batch: `flow` (B, T - 1, 2, H, W), `mask`
    (B, T - 1, H, W)."""

    kind = "flow"
    columns = ("flow",)
    title = "how far each pixel goes until the next frame: a NumPy file of numbers (T - 1, 2, H, W), u then v"
    dtype = np.float32
    dtype_kinds = "f"
    num_axes = 4

    @classmethod
    def describe(cls) -> str:
        return "(T - 1, 2, H, W) of float32"

    def check_array(self, values: Values) -> None:
        super().check_array(values)
        if values.shape[1] != 2:
            raise ValueError(f"flow is an array {values.shape}; it must be {self.describe()}")

    @classmethod
    def collate(cls, encoded: Sequence[Values]) -> Any:
        values, mask = pad([flow.transpose(0, 2, 3, 1) for flow in encoded], num_ragged=3)
        return {"flow": values.permute(0, 1, 4, 2, 3).contiguous(), "mask": mask}

    def count_frames(self, video: VideoMetadata) -> int:
        return max(0, video.num_frames - 1)

    def resize(self, old: Size, new: Size) -> Self:
        scale = np.array([new[1] / old[1], new[0] / old[0]], dtype=np.float32)  # of u, of v
        return type(self)(super().resize(old, new).load() * scale[:, None, None])


def read_array(place: Place, name: str) -> Values:
    """The array in a NumPy file: of several, the one with this name."""
    try:
        file = np.load(place if isinstance(place, str) else io.BytesIO(place.read()), allow_pickle=False)
    except OSError as error:
        raise DataError(f"{place} cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{place} is no NumPy file with numbers: {error}") from error
    if isinstance(file, np.ndarray):
        return file
    with file:
        if name not in file.files:
            raise DataError(f"{place} has no array {name!r}; it has {', '.join(file.files) or 'none'}")
        try:
            return file[name]
        except (ValueError, zipfile.BadZipFile, OSError) as error:
            raise DataError(f"{place}: the array {name!r} is damaged: {error}") from error
