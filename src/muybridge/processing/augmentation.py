"""Random changes of training clips: thin classes that draw numbers and call the functions of `functional`.

A clip is drawn for once and changed alike in all its frames; a batch (B, T, C, H, W) is drawn for clip by
clip. With a generator the draws are reproducible; without one they come from torch's global generator.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from muybridge.processing import functional


def uniform(bounds: tuple[float, float], generator: Generator | None) -> float:
    low, high = bounds
    return low + (high - low) * torch.rand((), generator=generator).item()


def integer_below(stop: int, generator: Generator | None) -> int:
    return int(torch.randint(stop, (), generator=generator))


class ClipTransform(ABC):
    """A random change of a clip (T, C, H, W), or of each clip of a batch (B, T, C, H, W)."""

    def __call__(self, clips: Tensor, generator: Generator | None = None) -> Tensor:
        if clips.ndim == 5:
            return torch.stack([self.transform(clip, generator) for clip in clips])
        if clips.ndim != 4:
            raise ValueError(f"the clip has shape {tuple(clips.shape)}; it must be (T, C, H, W) or (B, T, C, H, W)")
        return self.transform(clips, generator)

    @abstractmethod
    def transform(self, clip: Tensor, generator: Generator | None) -> Tensor:
        """The clip (T, C, H, W) after one draw."""


class Compose(ClipTransform):
    """One change after the other, for each clip."""

    def __init__(self, transforms: Sequence[ClipTransform]):
        self.transforms = list(transforms)

    def transform(self, clip: Tensor, generator: Generator | None) -> Tensor:
        for transform in self.transforms:
            clip = transform.transform(clip, generator)
        return clip


class Box(NamedTuple):
    """A rectangle of a frame, in pixels."""

    top: int
    left: int
    height: int
    width: int


class RandomResizedCrop(ClipTransform):
    """A rectangle of random area and shape, resized: "Inception crop" (https://arxiv.org/abs/1409.4842).

    `scale` bounds its share of the frame's area, `aspect_ratio` its width over its height.
    """

    num_attempts = 10

    def __init__(
        self,
        size: int | tuple[int, int],
        scale: tuple[float, float] = (0.08, 1.0),
        aspect_ratio: tuple[float, float] = (3 / 4, 4 / 3),
        interpolation: str = "bilinear",
    ):
        for name, (low, high) in {"scale": scale, "aspect_ratio": aspect_ratio}.items():
            if not 0 < low <= high:
                raise ValueError(f"{name} is ({low}, {high}); it must be two positive numbers, the smaller first")
        self.size = size if isinstance(size, tuple) else (size, size)
        self.scale = scale
        self.aspect_ratio = aspect_ratio
        self.interpolation = interpolation

    def draw(self, height: int, width: int, generator: Generator | None = None) -> Box:
        """A rectangle of a frame; the largest middle one of an allowed shape if none drawn fits."""
        for _ in range(self.num_attempts):
            area = height * width * uniform(self.scale, generator)
            # Drawn on a logarithmic scale, a shape is as likely as the same one turned by 90 degrees.
            low, high = self.aspect_ratio
            ratio = math.exp(uniform((math.log(low), math.log(high)), generator))
            box_height, box_width = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
            if 0 < box_height <= height and 0 < box_width <= width:
                top = integer_below(height - box_height + 1, generator)
                left = integer_below(width - box_width + 1, generator)
                return Box(top, left, box_height, box_width)
        return self.middle(height, width)

    def middle(self, height: int, width: int) -> Box:
        """The largest rectangle of an allowed shape, in the middle of the frame."""
        low, high = self.aspect_ratio
        ratio = min(max(width / height, low), high)
        box_height, box_width = min(height, round(width / ratio)), min(width, round(height * ratio))
        return Box((height - box_height) // 2, (width - box_width) // 2, box_height, box_width)

    def transform(self, clip: Tensor, generator: Generator | None) -> Tensor:
        box = self.draw(clip.shape[-2], clip.shape[-1], generator)
        return functional.resized_crop(clip, *box, self.size, self.interpolation)


class RandomCrop(ClipTransform):
    """A rectangle of fixed size at a random place, with zeros around frames that are smaller."""

    def __init__(self, size: int | tuple[int, int]):
        self.size = size if isinstance(size, tuple) else (size, size)

    def transform(self, clip: Tensor, generator: Generator | None) -> Tensor:
        clip = functional.pad_to(clip, self.size)
        top = integer_below(clip.shape[-2] - self.size[0] + 1, generator)
        left = integer_below(clip.shape[-1] - self.size[1] + 1, generator)
        return functional.crop(clip, top, left, *self.size)


class RandomHorizontalFlip(ClipTransform):
    """The mirror image, with probability `probability`."""

    def __init__(self, probability: float = 0.5):
        if not 0 <= probability <= 1:
            raise ValueError(f"probability is {probability}; it must lie in [0, 1]")
        self.probability = probability

    def transform(self, clip: Tensor, generator: Generator | None) -> Tensor:
        return functional.horizontal_flip(clip) if uniform((0.0, 1.0), generator) < self.probability else clip


class ColorJitter(ClipTransform):
    """Brightness, contrast, saturation and hue, each changed by a random amount, in random order.

    The first three are factors drawn from [1 - x, 1 + x], and not below 0; hue is a shift drawn from [-x, x].
    """

    def __init__(self, brightness: float = 0.0, contrast: float = 0.0, saturation: float = 0.0, hue: float = 0.0):
        strengths = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
        for name, strength in strengths.items():
            if strength < 0:
                raise ValueError(f"{name} is {strength}; it must be zero or more")
        if hue > 0.5:
            raise ValueError(f"hue is {hue}; it must be at most 0.5, half a turn of the colour circle")
        self.factor_ranges = {
            functional.adjust_brightness: (max(0.0, 1 - brightness), 1 + brightness),
            functional.adjust_contrast: (max(0.0, 1 - contrast), 1 + contrast),
            functional.adjust_saturation: (max(0.0, 1 - saturation), 1 + saturation),
            functional.adjust_hue: (-hue, hue),
        }

    def transform(self, clip: Tensor, generator: Generator | None) -> Tensor:
        # What cannot change is left out, so that turning hue off costs nothing.
        changes = [(adjust, bounds) for adjust, bounds in self.factor_ranges.items() if bounds[0] < bounds[1]]
        for index in torch.randperm(len(changes), generator=generator).tolist():
            adjust, bounds = changes[index]
            clip = adjust(clip, uniform(bounds, generator))
        return clip
