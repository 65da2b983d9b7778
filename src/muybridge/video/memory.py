"""Frames, flow or sound that somebody holds in memory, read like a file."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from muybridge.video.geometry import Size
from muybridge.video.readers import Indices, Reader, check_indices


@dataclass(frozen=True)
class MemoryMetadata:
    """What is known of frames in memory; `fps` is None where nobody said it."""

    num_frames: int
    fps: float | None
    height: int | None = None
    width: int | None = None

    @property
    def duration_seconds(self) -> float | None:
        return self.num_frames / self.fps if self.fps else None


class MemoryReader(Reader):
    """Pictures (T, C, H, W), flow (T, 2, H, W) or samples (T,), in the type and on the device that they have.

    Where `fps` is not known, frames are taken to be one second apart.
    """

    def __init__(self, frames: Tensor, *, fps: float | None = None, modality: str = "video") -> None:
        if not len(frames):
            raise ValueError(f"{modality} of shape {tuple(frames.shape)} was given; it must have at least one frame")
        self.frames = frames
        self.fps = fps
        self.modality = modality

    @property
    def name(self) -> str:
        return f"<{self.modality} of shape {tuple(self.frames.shape)}>"

    @property
    def metadata(self) -> MemoryMetadata:
        height, width = self.frames.shape[-2:] if self.frames.ndim > 1 else (None, None)
        return MemoryMetadata(len(self.frames), self.fps, height, width)

    @property
    def edges_seconds(self) -> NDArray[np.float64]:
        return np.arange(len(self.frames) + 1) / (self.fps or 1.0)

    def __len__(self) -> int:
        return len(self.frames)

    def frames_at(self, indices: Indices, size: Size | None = None) -> Tensor:
        if size is not None:
            raise ValueError(f"size is {size}; frames in memory are given as they are: pass None, and resize them")
        numbers = check_indices(indices, len(self), self.name)
        if np.array_equal(numbers, np.arange(len(self))):
            return self.frames
        return self.frames[torch.from_numpy(numbers).to(self.frames.device)]

    def close(self) -> None:
        """There is nothing to close."""
