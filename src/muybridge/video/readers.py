"""What every reader of a video, of its flow or of its sound has in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from muybridge.video.geometry import Size

if TYPE_CHECKING:
    from torch import Tensor

Indices = Sequence[int] | NDArray[Any] | Any  # or a tensor, which a module without torch cannot name


class Metadata(Protocol):
    """What is known of any medium; `fps` is how many frames, flows or samples there are a second."""

    @property
    def num_frames(self) -> int: ...
    @property
    def fps(self) -> float | None: ...
    @property
    def duration_seconds(self) -> float | None: ...


class Closable(ABC):
    """Something that is closed by `close`, or at the end of a `with`."""

    @abstractmethod
    def close(self) -> None:
        """Gives back what is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Reader(Closable):
    """A medium as frames with times: pictures (T, C, H, W), optical flow (T, 2, H, W), or samples of sound (T,).

    Times are counted in seconds from the first frame of the video, so that readers of one video are in step.
    """

    modality: str  # "video", "flow" or "sound"
    scales_while_decoding = False  # whether `frames_at` takes a size

    @property
    @abstractmethod
    def name(self) -> str:
        """How errors call what is read."""

    @property
    @abstractmethod
    def metadata(self) -> Metadata:
        """What is known of the medium; the number of frames is exact after `len(reader)`."""

    @property
    @abstractmethod
    def edges_seconds(self) -> NDArray[np.float64]:
        """When each frame comes on display, and last of all when the last one goes: one more than there are frames."""

    @abstractmethod
    def frames_at(self, indices: Indices, size: Size | None = None) -> "Tensor":
        """The frames of these numbers, in any order and as often as they are asked for."""

    @property
    def frame_seconds(self) -> NDArray[np.float64]:
        """When each frame comes on display, counted from the first."""
        return self.edges_seconds[:-1]

    def __len__(self) -> int:
        """The exact number of frames."""
        return len(self.edges_seconds) - 1

    def frames_at_sizes(self, indices_by_size: Mapping[Size | None, Indices]) -> dict[Size | None, "Tensor"]:
        """Frames in several sizes; a reader that decodes does so once for all of them."""
        return {size: self.frames_at(indices, size) for size, indices in indices_by_size.items()}


def check_indices(indices: Indices, total: int, name: str) -> NDArray[np.int64]:
    """Numbers of frames as an array (T,) without negative ones, which count from the end."""
    numbers = np.asarray(indices).reshape(-1)
    if numbers.size and not np.issubdtype(numbers.dtype, np.integer):
        raise TypeError(f"frame indices must be whole numbers, not {numbers.dtype}: {indices!r}")
    numbers = numbers.astype(np.int64)
    outside = numbers[(numbers < -total) | (numbers >= total)]
    if len(outside):
        raise IndexError(f"frame {outside[0]} is not in {name}, which has {total} frames")
    return np.where(numbers < 0, numbers + total, numbers)
