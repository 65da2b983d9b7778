"""What every head has in common.

A head makes logits of what a trunk gives. `config.head` names it, with its numbers. Its class says in `inputs` which of
the trunk's outputs it reads, so that these can be kept, and scored later without the trunk.

Shapes: N rows, each a view of an image or a video; B videos, V views of each, D features, L labels.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, initialization as init

from muybridge.models.heads.averaging import average_views, get_aggregation


@dataclass(frozen=True)
class HeadNumbers:
    """The numbers of a head, which check themselves."""


@dataclass(frozen=True)
class DropoutNumbers(HeadNumbers):
    """`dropout` is how many of the features are set to zero in training."""

    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout of the head is {self.dropout}; it must lie in [0, 1)")


class Head(nn.Module):
    """Makes logits (N, L) of a trunk's outputs."""

    numbers_class: ClassVar[type[HeadNumbers]] = HeadNumbers
    # What it reads: names of the trunk's outputs, or of the trunk's own inputs. A mask may be missing.
    inputs: tuple[str, ...] = ("pooler_output",)
    # Whether it has weights, so that it can learn other labels.
    has_weights: ClassVar[bool] = True
    # Whether what it makes of stages in the middle of the trunk adds to the loss in training.
    has_auxiliary_losses: ClassVar[bool] = False

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Logits (N, L) of what `inputs` names."""
        return self.score(outputs["pooler_output"])

    def score(self, features: Tensor) -> Tensor:
        """The logits (…, L) of features (…, D)."""
        raise NotImplementedError

    def step(self, features: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """The logits (N, L) of a video up to and with a frame with these features (N, D), and what is carried on."""
        return self.score(features), state

    def average_views(self, logits: Tensor) -> Tensor:
        """The logits (B, L) from those of several views (B, V, L)."""
        return average_views(logits, get_aggregation(self.config))

    def reset(self, num_labels: int) -> None:
        """Replaces the layer that knows the labels by a new one."""
        raise NotImplementedError

    def score_stages(self, stages: Mapping[str, Tensor]) -> Iterator[tuple[float, Tensor]]:
        """The weights, and the logits (N, L), of losses on what the trunk's stages give, by their names."""
        raise NotImplementedError


def make_new_linear(old: nn.Linear, num_labels: int) -> nn.Linear:
    """A classifier of as many features as `old` has, for new labels."""
    new = nn.Linear(old.in_features, num_labels, device=old.weight.device, dtype=old.weight.dtype)
    with torch.no_grad():
        init.normal_(new.weight, std=0.01)
        init.zeros_(new.bias)
    return new
