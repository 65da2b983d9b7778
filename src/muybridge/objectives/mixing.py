"""Clips and targets mixed with those of other clips: mixup (Zhang 2018) and cutmix (Yun 2019), alike in all frames.

Shapes: B clips, H×W pixels of a picture, L labels.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from muybridge.models.inputs import is_picture


class Box(NamedTuple):
    """A rectangle of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int


def mixup(values: Tensor, share: float, order: Tensor) -> Tensor:
    """`share` of each row of values (B, …), and the rest of the row that `order` puts there.

    Of truth values, such as which frames are real, either is enough.
    """
    if values.dtype == torch.bool:
        return values | values[order]
    return values * share + values[order] * (1 - share)


def cutmix(clips: Tensor, box: Box, order: Tensor) -> Tensor:
    """Clips (B, …, H, W) with a rectangle of others."""
    mixed = clips.clone()
    rows, columns = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
    mixed[..., rows, columns] = clips[order][..., rows, columns]
    return mixed


def draw_share(alpha: float, generator: Generator) -> float:
    """A number from the beta distribution with both parameters `alpha`, from two gamma-distributed ones."""
    first, second = (torch._standard_gamma(torch.tensor(alpha), generator=generator).item() for _ in range(2))
    return first / (first + second) if first + second > 0 else 0.5


def place_box(share: float, centre: tuple[float, float], height: int, width: int) -> Box:
    """A rectangle of about 1 - `share` of a picture around a centre, given in shares of its sides; cut at the edges."""
    side = math.sqrt(1 - share)
    bounds = []
    for length, middle in ((height, centre[0]), (width, centre[1])):
        box_length, position = round(length * side), int(middle * length)
        bounds.append((max(0, position - box_length // 2), min(length, position + (box_length + 1) // 2)))
    (top, bottom), (left, right) = bounds
    return Box(top, left, bottom - top, right - left)


@dataclass(frozen=True)
class Mixing:
    """How the clips of a batch are mixed: by mixup or cutmix with this alpha, or, with both 0, not at all."""

    mixup_alpha: float = 0.0
    cutmix_alpha: float = 0.0

    def __post_init__(self) -> None:
        for name in ("mixup_alpha", "cutmix_alpha"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        if self.mixup_alpha and self.cutmix_alpha:
            raise ValueError(f"mixup is {self.mixup_alpha} and cutmix {self.cutmix_alpha}; choose one of them at most")

    def mix(
        self, inputs: Mapping[str, Tensor], targets: Tensor, generator: Generator
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The inputs and targets (B, L) of a batch, mixed with those of other clips of it."""
        if not (self.mixup_alpha or self.cutmix_alpha):
            return dict(inputs), targets
        order = torch.randperm(len(targets), generator=generator).to(targets.device)
        share = draw_share(self.mixup_alpha or self.cutmix_alpha, generator)
        if self.mixup_alpha:
            mixed = {name: mixup(values, share, order) for name, values in inputs.items()}
        else:
            centre = tuple(torch.rand(2, generator=generator).tolist())
            mixed, share = cut_all(inputs, share, (centre[0], centre[1]), order)
        return mixed, mixup(targets, share, order)


def cut_all(
    inputs: Mapping[str, Tensor], share: float, centre: tuple[float, float], order: Tensor
) -> tuple[dict[str, Tensor], float]:
    """The same part of every picture among the inputs replaced, and the share of the first picture that stays.

    What is no picture, such as sound, stays as it is.
    """
    mixed, kept = dict(inputs), None
    for name, clips in inputs.items():
        if is_picture(name):
            height, width = clips.shape[-2:]
            box = place_box(share, centre, height, width)
            mixed[name] = cutmix(clips, box, order)
            kept = kept if kept is not None else 1 - box.height * box.width / (height * width)
    if kept is None:
        raise ValueError(f"cutmix cuts pictures, and the network takes {', '.join(inputs)}; use mixup")
    return mixed, kept
