"""A moving average of the weights, often better than the last of them."""

import copy

import torch

from muybridge.models.video_base import VideoForClassification
from muybridge.training.sharding import whole


class WeightAverage:
    """`decay` of the average and the rest of the weights, after every step. Counters and the like are copied."""

    def __init__(self, model: VideoForClassification, decay: float) -> None:
        self.decay = decay
        self.model: VideoForClassification = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: VideoForClassification) -> None:
        for average, current in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            current = whole(current)
            if average.is_floating_point():
                average.lerp_(current.to(average.device), 1 - self.decay)
            else:
                average.copy_(current)

    def state_dict(self) -> dict[str, torch.Tensor]:
        return self.model.state_dict()

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        self.model.load_state_dict(state)
