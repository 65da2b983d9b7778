"""A linear classifier with helpers: small classifiers in the middle of the trunk, which it has in training alone.

"Going Deeper with Convolutions" (Szegedy et al., CVPR 2015, arXiv:1409.4842).

Shapes: N images, C channels, H×W places of a map, L labels.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from torch import Tensor, nn
from transformers import PreTrainedConfig

from muybridge.models.heads.head import DropoutNumbers, make_new_linear
from muybridge.models.heads.linear import LinearHead
from muybridge.models.layers.convolution import ConvolutionBlock


@dataclass(frozen=True)
class AuxiliaryNumbers(DropoutNumbers):
    """`branches` are the channels of the maps (N, C, H, W) that a helper sees, by the names of the trunk's stages.

    A helper averages its map over a 4×4 grid of an "adaptive" size, or over windows of 5×5 places, 3 apart
    ("windows"): then `side` is H and W. It has a 1×1 convolution and a fully connected layer of `sizes`, and
    `auxiliary_dropout` before its classifier. The losses of helpers count `loss_weight` times.
    """

    branches: Mapping[str, int] = field(default_factory=dict)
    side: int | None = None
    pooling: Literal["adaptive", "windows"] = "adaptive"
    sizes: Sequence[int] = (128, 1024)
    auxiliary_dropout: float = 0.7
    loss_weight: float = 0.3
    has_batch_norm: bool = True
    batch_norm_eps: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.branches or len(self.sizes) != 2:
            raise ValueError(
                f"branches of the head is {dict(self.branches)} and sizes {self.sizes}; they must name one stage or "
                "more, and be two numbers"
            )
        if self.pooling not in ("adaptive", "windows"):
            raise ValueError(f"pooling of the head is {self.pooling!r}; it must be 'adaptive' or 'windows'")
        if self.pooling == "windows" and (self.side or 0) < 5:
            raise ValueError(
                f"the helpers of the head average windows of 5×5 places, and their maps have {self.side}×{self.side}; "
                "set pooling to 'adaptive', or take larger images"
            )


class AuxiliaryClassifier(nn.Module):
    """A helper: the map of a stage in the middle (N, C, H, W) → logits (N, L)."""

    def __init__(self, in_channels: int, num_labels: int, numbers: AuxiliaryNumbers) -> None:
        super().__init__()
        channels, size = numbers.sizes
        if numbers.pooling == "windows":
            self.pooling: nn.Module = nn.AvgPool2d(5, 3)
            side = ((numbers.side or 0) - 5) // 3 + 1
        else:
            self.pooling, side = nn.AdaptiveAvgPool2d(4), 4
        norm = nn.BatchNorm2d(channels, eps=numbers.batch_norm_eps) if numbers.has_batch_norm else None
        convolution = nn.Conv2d(in_channels, channels, 1, bias=norm is None)
        self.convolution = ConvolutionBlock(convolution, norm)
        self.fully_connected = nn.Sequential(nn.Linear(channels * side * side, size), nn.ReLU(inplace=True))
        self.dropout = nn.Dropout(numbers.auxiliary_dropout)
        self.classifier = nn.Linear(size, num_labels)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.convolution(self.pooling(hidden)).flatten(1)
        return self.classifier(self.dropout(self.fully_connected(hidden))).float()


class AuxiliaryHead(LinearHead):
    """Dropout and a linear layer on pooled features, (N, D) → (N, L), and helpers."""

    numbers_class = AuxiliaryNumbers
    has_auxiliary_losses = True

    def __init__(self, config: PreTrainedConfig, num_labels: int, numbers: AuxiliaryNumbers) -> None:
        super().__init__(config, num_labels, numbers)
        self.loss_weight = numbers.loss_weight
        self.helpers = nn.ModuleDict(
            {stage: AuxiliaryClassifier(channels, num_labels, numbers) for stage, channels in numbers.branches.items()}
        )

    def score_stages(self, stages: Mapping[str, Tensor]) -> Iterator[tuple[float, Tensor]]:
        for stage, helper in self.helpers.items():
            yield self.loss_weight, helper(stages[stage])

    def reset(self, num_labels: int) -> None:
        super().reset(num_labels)
        for helper in self.helpers.values():
            helper.classifier = make_new_linear(cast(nn.Linear, helper.classifier), num_labels)
