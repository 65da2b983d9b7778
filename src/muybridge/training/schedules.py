"""How the learning rate changes: a factor of it for every step."""

import math
from bisect import bisect_right
from collections.abc import Callable

from muybridge.training.settings import TrainingSettings


def follow_cosine(progress: float) -> float:
    """From 1 to 0 along half a cosine, for `progress` from 0 to 1."""
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def make_schedule(settings: TrainingSettings, steps_per_epoch: int, num_steps: int) -> Callable[[int], float]:
    """The factor of the learning rate at each step, warm-up included."""
    warmup_steps = round(settings.warmup_epochs * steps_per_epoch)
    milestones = [round(epoch * steps_per_epoch) for epoch in settings.step_epochs]

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        if settings.schedule == "cosine":
            return follow_cosine((step - warmup_steps) / max(1, num_steps - warmup_steps))
        if settings.schedule == "step":
            return settings.step_factor ** bisect_right(milestones, step)
        return 1.0

    return factor
