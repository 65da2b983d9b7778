"""Random changes of clips: thin classes that draw numbers, and the deterministic changes that they draw.

A change is drawn once for a clip and applied alike to all its frames, and to every modality of it: the same rectangle
is cut out of frames and of flow, both are mirrored or none, and a mirrored flow has its u negated. What concerns
colours leaves flow alone.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from muybridge.processing import functional
from muybridge.processing.functional import Modality

Size = tuple[int, int]  # height and width


@dataclass(frozen=True)
class Manner:
    """How a change is applied to the frames of one input: what they are, and how they are resized.

    `size` is that of the input, for changes that name none of their own.
    """

    modality: Modality = "video"
    size: Size | None = None
    interpolation: str = "bilinear"
    antialias: bool = True


PLAIN_MANNER = Manner()


class Change(ABC):
    """What is done to all frames (..., C, H, W) of a clip."""

    @abstractmethod
    def apply(self, frames: Tensor, manner: Manner = PLAIN_MANNER) -> Tensor:
        """The changed frames."""


class RandomChange(ABC):
    """Draws a change for a clip; without a generator from torch's global one."""

    @abstractmethod
    def draw(self, generator: Generator | None, size: Size) -> Change:
        """A change of frames of this height and width."""

    def __call__(self, clips: Tensor, generator: Generator | None = None, manner: Manner = PLAIN_MANNER) -> Tensor:
        """A clip (T, C, H, W) changed at random, or each clip of a batch (B, T, C, H, W) by a draw of its own."""
        if clips.ndim == 5:
            return torch.stack([self(clip, generator, manner) for clip in clips])
        if clips.ndim != 4:
            raise ValueError(f"the clip has shape {tuple(clips.shape)}; it must be (T, C, H, W) or (B, T, C, H, W)")
        height, width = clips.shape[-2:]
        return self.draw(generator, (height, width)).apply(clips, manner)


@dataclass(frozen=True)
class ChangeSequence(Change):
    """One change after the other."""

    changes: Sequence[Change]

    def apply(self, frames: Tensor, manner: Manner = PLAIN_MANNER) -> Tensor:
        for change in self.changes:
            frames = change.apply(frames, manner)
        return frames


class Compose(RandomChange):
    """One random change after the other; each is drawn for frames of the size that a clip has at first."""

    def __init__(self, changes: Sequence[RandomChange]) -> None:
        self.changes = list(changes)

    def draw(self, generator: Generator | None, size: Size) -> ChangeSequence:
        return ChangeSequence([change.draw(generator, size) for change in self.changes])


class Box(NamedTuple):
    """A rectangle of a frame, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def rescale(self, old: Size, new: Size) -> "Box":
        """The same part of a frame of another size."""
        if old == new:
            return self
        top, bottom = (round(edge * new[0] / old[0]) for edge in (self.top, self.top + self.height))
        left, right = (round(edge * new[1] / old[1]) for edge in (self.left, self.left + self.width))
        top, left = min(top, new[0] - 1), min(left, new[1] - 1)
        return Box(top, left, max(bottom - top, 1), max(right - left, 1))


@dataclass(frozen=True)
class ResizedCrop(Change):
    """A rectangle, resized; `box` is a part of frames of `frame_size`, and the same part of larger or smaller ones."""

    box: Box
    frame_size: Size
    size: Size | None = None

    def apply(self, frames: Tensor, manner: Manner = PLAIN_MANNER) -> Tensor:
        box = self.box.rescale(self.frame_size, (frames.shape[-2], frames.shape[-1]))
        return functional.resize(
            functional.crop(frames, *box),
            require_size(self.size, manner),
            manner.interpolation,
            antialias=manner.antialias,
            modality=manner.modality,
        )


class RandomResizedCrop(RandomChange):
    """A rectangle of random area and shape, resized: "Inception crop" (https://arxiv.org/abs/1409.4842).

    `size` is that of the result, by default the one that the processor's model takes. `scale` bounds the rectangle's
    share of the frame's area, `aspect_ratio` its width over its height.
    """

    num_attempts = 10

    def __init__(
        self,
        size: int | Size | None = None,
        scale: tuple[float, float] = (0.08, 1.0),
        aspect_ratio: tuple[float, float] = (3 / 4, 4 / 3),
    ) -> None:
        for name, (low, high) in {"scale": scale, "aspect_ratio": aspect_ratio}.items():
            if not 0 < low <= high:
                raise ValueError(f"{name} is ({low}, {high}); it must be two positive numbers, the smaller first")
        self.size = make_square(size)
        self.scale = scale
        self.aspect_ratio = aspect_ratio

    def draw(self, generator: Generator | None, size: Size) -> ResizedCrop:
        return ResizedCrop(self.draw_box(generator, size), size, self.size)

    def draw_box(self, generator: Generator | None, size: Size) -> Box:
        """A rectangle of a frame; the largest middle one of an allowed shape if none drawn fits."""
        height, width = size
        for _ in range(self.num_attempts):
            area = height * width * draw_number(self.scale, generator)
            # Drawn on a logarithmic scale, a shape is as likely as the same one turned by 90 degrees.
            low, high = self.aspect_ratio
            ratio = math.exp(draw_number((math.log(low), math.log(high)), generator))
            box_height, box_width = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
            if 0 < box_height <= height and 0 < box_width <= width:
                top = draw_integer(height - box_height + 1, generator)
                left = draw_integer(width - box_width + 1, generator)
                return Box(top, left, box_height, box_width)
        return self.find_middle_box(height, width)

    def find_middle_box(self, height: int, width: int) -> Box:
        """The largest rectangle of an allowed shape, in the middle of the frame."""
        low, high = self.aspect_ratio
        ratio = min(max(width / height, low), high)
        box_height, box_width = min(height, round(width / ratio)), min(width, round(height * ratio))
        return Box((height - box_height) // 2, (width - box_width) // 2, box_height, box_width)


@dataclass(frozen=True)
class Crop(Change):
    """A rectangle of fixed size, with zeros around frames that are smaller.

    `top_share` and `left_share`, in [0, 1), say where it lies: 0 is the first of the places where it fits.
    """

    top_share: float
    left_share: float
    size: Size | None = None

    def apply(self, frames: Tensor, manner: Manner = PLAIN_MANNER) -> Tensor:
        height, width = require_size(self.size, manner)
        frames = functional.pad_to(frames, (height, width))
        top = int(self.top_share * (frames.shape[-2] - height + 1))
        left = int(self.left_share * (frames.shape[-1] - width + 1))
        return functional.crop(frames, top, left, height, width)


class RandomCrop(RandomChange):
    """A rectangle of fixed size at a random place; by default of the size that the processor's model takes."""

    def __init__(self, size: int | Size | None = None) -> None:
        self.size = make_square(size)

    def draw(self, generator: Generator | None, size: Size) -> Crop:  # noqa: ARG002  # every place is a share of it
        return Crop(draw_number((0.0, 1.0), generator), draw_number((0.0, 1.0), generator), self.size)


@dataclass(frozen=True)
class HorizontalFlip(Change):
    """The mirror image, or the frames as they are."""

    is_flipped: bool = True

    def apply(self, frames: Tensor, manner: Manner = PLAIN_MANNER) -> Tensor:
        return functional.flip_horizontally(frames, manner.modality) if self.is_flipped else frames


class RandomHorizontalFlip(RandomChange):
    """The mirror image, with probability `probability`."""

    def __init__(self, probability: float = 0.5) -> None:
        if not 0 <= probability <= 1:
            raise ValueError(f"probability is {probability}; it must lie in [0, 1]")
        self.probability = probability

    def draw(self, generator: Generator | None, size: Size) -> HorizontalFlip:  # noqa: ARG002  # of any size
        return HorizontalFlip(draw_number((0.0, 1.0), generator) < self.probability)


Adjust = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True)
class ColorChange(Change):
    """Adjustments of colours, each by its amount, in this order. Flow has no colours."""

    adjustments: Sequence[tuple[Adjust, float]]

    def apply(self, frames: Tensor, manner: Manner = PLAIN_MANNER) -> Tensor:
        if manner.modality != "video":
            return frames
        for adjust, amount in self.adjustments:
            frames = adjust(frames, amount)
        return frames


class ColorJitter(RandomChange):
    """Brightness, contrast, saturation and hue, each changed by a random amount, in random order.

    The first three are factors drawn from [1 - x, 1 + x], and not below 0; hue is a shift drawn from [-x, x].
    """

    def __init__(
        self, brightness: float = 0.0, contrast: float = 0.0, saturation: float = 0.0, hue: float = 0.0
    ) -> None:
        strengths = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
        for name, strength in strengths.items():
            if strength < 0:
                raise ValueError(f"{name} is {strength}; it must be zero or more")
        if hue > 0.5:
            raise ValueError(f"hue is {hue}; it must be at most 0.5, half a turn of the colour circle")
        self.bounds: Mapping[Adjust, tuple[float, float]] = {
            functional.adjust_brightness: (max(0.0, 1 - brightness), 1 + brightness),
            functional.adjust_contrast: (max(0.0, 1 - contrast), 1 + contrast),
            functional.adjust_saturation: (max(0.0, 1 - saturation), 1 + saturation),
            functional.adjust_hue: (-hue, hue),
        }

    def draw(self, generator: Generator | None, size: Size) -> ColorChange:  # noqa: ARG002  # of any size
        # What cannot change is left out, so that turning hue off costs nothing.
        possible = [(adjust, bounds) for adjust, bounds in self.bounds.items() if bounds[0] < bounds[1]]
        order = torch.randperm(len(possible), generator=generator).tolist()
        return ColorChange([(possible[i][0], draw_number(possible[i][1], generator)) for i in order])


def make_training_changes(
    *,
    scale: tuple[float, float] = (0.5, 1.0),
    flip_probability: float = 0.5,
    jitter: Mapping[str, float] | None = None,
) -> list[RandomChange]:
    """What training clips usually go through: a random crop, resized to what the model takes, and the mirror image.

    Where left and right make a difference, as in Something-Something, `flip_probability` must be 0. `jitter` holds
    the arguments of `ColorJitter`; it is off by default, as in the papers of the classic networks.
    """
    changes: list[RandomChange] = [RandomResizedCrop(scale=scale), RandomHorizontalFlip(flip_probability)]
    return [*changes, ColorJitter(**jitter)] if jitter else changes


def draw_number(bounds: tuple[float, float], generator: Generator | None) -> float:
    low, high = bounds
    return low + (high - low) * torch.rand((), generator=generator).item()


def draw_integer(stop: int, generator: Generator | None) -> int:
    return int(torch.randint(stop, (), generator=generator))


def make_square(size: int | Size | None) -> Size | None:
    return (size, size) if isinstance(size, int) else size


def require_size(own: Size | None, manner: Manner) -> Size:
    size = own or manner.size
    if size is None:
        raise ValueError(
            "the change names no size, and the processor makes frames of no one size; give the change a size, or the "
            "processor a crop_size"
        )
    return size
