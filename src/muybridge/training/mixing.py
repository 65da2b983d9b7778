"""Clips and labels mixed with those of other clips: mixup (Zhang 2018) and cutmix (Yun 2019), alike in all frames.

Shapes: B clips, T frames, C channels, H×W pixels, L labels.
"""

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from muybridge.training.learner import Task
from muybridge.training.settings import TrainingSettings


def mixup(clips: Tensor, targets: Tensor, share: float, order: Tensor) -> tuple[Tensor, Tensor]:
    """`share` of each clip (B, T, C, H, W) and its target (B, L), and the rest of those that `order` puts there."""
    return clips * share + clips[order] * (1 - share), targets * share + targets[order] * (1 - share)


def cutmix(clips: Tensor, targets: Tensor, box: tuple[int, int, int, int], order: Tensor) -> tuple[Tensor, Tensor]:
    """Clips with the rectangle `box` (top, left, height, width) of others; targets by the share of the area."""
    top, left, height, width = box
    mixed = clips.clone()
    mixed[..., top : top + height, left : left + width] = clips[order][..., top : top + height, left : left + width]
    share = 1 - height * width / (clips.shape[-2] * clips.shape[-1])
    return mixed, targets * share + targets[order] * (1 - share)


def draw_share(alpha: float, generator: Generator) -> float:
    """A number from the beta distribution with both parameters `alpha`, from two gamma-distributed ones."""
    first, second = (torch._standard_gamma(torch.tensor(alpha), generator=generator).item() for _ in range(2))
    return first / (first + second) if first + second > 0 else 0.5


def draw_box(share: float, height: int, width: int, generator: Generator) -> tuple[int, int, int, int]:
    """A rectangle of about 1 - `share` of the frame, its centre anywhere, cut at the edges."""
    side = math.sqrt(1 - share)
    box_height, box_width = round(height * side), round(width * side)
    centre_y = int(torch.randint(height, (), generator=generator))
    centre_x = int(torch.randint(width, (), generator=generator))
    top, bottom = max(0, centre_y - box_height // 2), min(height, centre_y + (box_height + 1) // 2)
    left, right = max(0, centre_x - box_width // 2), min(width, centre_x + (box_width + 1) // 2)
    return top, left, bottom - top, right - left


def smooth_targets(labels: Tensor, task_ids: Tensor, tasks: Sequence[Task], smoothing: float) -> Tensor:
    """A distribution over all labels (B, L) for each clip: `smoothing` of it is shared by the labels of its task."""
    targets = torch.zeros(len(labels), tasks[-1].end, device=labels.device)
    for number, task in enumerate(tasks):
        targets[task_ids == number, task.start : task.end] = smoothing / len(task.labels)
    return targets.scatter_add_(1, labels[:, None], torch.full_like(targets[:, :1], 1 - smoothing))


class Mixing:
    """Makes the targets of a batch, and mixes its clips where the settings say so."""

    def __init__(self, tasks: Sequence[Task], settings: TrainingSettings) -> None:
        self.tasks = tasks
        self.mixup_alpha = settings.mixup
        self.cutmix_alpha = settings.cutmix
        self.smoothing = settings.label_smoothing

    def __call__(
        self, inputs: dict[str, Tensor], labels: Tensor, task_ids: Tensor, generator: Generator
    ) -> tuple[dict[str, Tensor], Tensor]:
        targets = smooth_targets(labels, task_ids, self.tasks, self.smoothing)
        alpha = self.mixup_alpha or self.cutmix_alpha
        if not alpha:
            return inputs, targets
        order = torch.randperm(len(labels), generator=generator)
        share = draw_share(alpha, generator)
        clips = next(value for value in inputs.values() if value.ndim > 2)
        box = None if self.mixup_alpha else draw_box(share, clips.shape[-2], clips.shape[-1], generator)
        mixed = {}
        for name, value in inputs.items():
            partners = order.to(value.device)
            if not value.is_floating_point():  # a mask: what is real in either is real in the mixture
                mixed[name] = value | value[partners]
            elif box is None:
                mixed[name], mixed_targets = mixup(value, targets, share, partners)
            else:
                mixed[name], mixed_targets = cutmix(value, targets, box, partners)
        return mixed, mixed_targets
