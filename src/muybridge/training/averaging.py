"""A moving average of the weights, often better than the last of them."""

import torch

from muybridge.objectives import Objective, copy_objective
from muybridge.training.sharding import gather_whole


class WeightAverage:
    """`decay` of the average and the rest of the weights, after every step. Counters and the like are copied."""

    def __init__(self, objective: Objective, decay: float) -> None:
        self.decay = decay
        self.objective: Objective = copy_objective(objective).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, objective: Objective) -> None:
        averages, current_values = self.objective.state_dict().values(), objective.state_dict().values()
        for average, current in zip(averages, current_values, strict=True):
            current = gather_whole(current)
            if average.is_floating_point():
                average.lerp_(current.to(average.device), 1 - self.decay)
            else:
                average.copy_(current)

    def state_dict(self) -> dict[str, torch.Tensor]:
        return self.objective.state_dict()

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        self.objective.load_state_dict(state)
