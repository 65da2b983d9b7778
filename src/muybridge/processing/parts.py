"""What a clip-maker and the processors of a model's inputs tell each other.

Of several inputs one leads, and the others follow its times: so they are in step.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from muybridge.types import Clip
from muybridge.video import Reader

if TYPE_CHECKING:
    from muybridge.processing.clip_processor import ClipProcessor


class PartedProcessor(Protocol):
    """What makes the inputs of a model: a processor of one of them, or a joint processor of several."""

    @property
    def parts(self) -> "Mapping[str, ClipProcessor]":
        """The processors of the inputs, by the inputs' names."""

    @property
    def lead(self) -> str:
        """The input whose clips the others follow."""

    def sort_sources(self, videos: Any, settings: SimpleNamespace) -> list[Any]:
        """What was handed in, one entry a clip."""


class Span(NamedTuple):
    """The part of a file that is read; None is its beginning and its end."""

    start_seconds: float | None
    end_seconds: float | None

    @property
    def is_segment(self) -> bool:
        return self.start_seconds is not None or self.end_seconds is not None


@dataclass(frozen=True)
class Lead:
    """The clip that decides for others: its frames, out of those with these times, and the settings that chose them."""

    clip: Clip
    edges_seconds: NDArray[np.float64]
    settings: SimpleNamespace

    @property
    def moments_seconds(self) -> NDArray[np.float64]:
        """When each frame of the clip comes on display."""
        return self.edges_seconds[self.clip.indices]

    @property
    def middle_seconds(self) -> float:
        """The middle of what the real frames show, each of them until the next one."""
        indices = self.clip.indices[self.clip.mask]
        moments = self.edges_seconds[indices]
        is_still = indices[0] == indices[-1]
        last_edge = self.edges_seconds[indices[-1] + 1]
        step = last_edge - moments[-1] if is_still else (moments[-1] - moments[0]) / (len(moments) - 1)
        return float(moments[0] + moments[-1] + step) / 2


def find_edges(reader: Reader, settings: SimpleNamespace) -> NDArray[np.float64]:
    """When the reader's frames come on display; frames of no known rate have the one that is asked for."""
    total = len(reader)  # what makes the reader's metadata exact
    if reader.metadata.fps is None and settings.fps:
        return np.arange(total + 1) / settings.fps
    return reader.edges_seconds
