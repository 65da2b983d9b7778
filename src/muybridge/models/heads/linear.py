"""A linear classifier on the features of a trunk."""

from typing import ClassVar

from torch import Tensor, nn
from transformers import PreTrainedConfig

from muybridge.models.heads.head import DropoutNumbers, Head, HeadNumbers, make_new_linear


class LinearHead(Head):
    """Dropout and a linear layer on pooled features: (N, D) → (N, L)."""

    numbers_class: ClassVar[type[HeadNumbers]] = DropoutNumbers

    def __init__(self, config: PreTrainedConfig, num_labels: int, numbers: DropoutNumbers) -> None:
        super().__init__(config)
        self.dropout = nn.Dropout(numbers.dropout)
        self.classifier = nn.Linear(config.hidden_size, num_labels)

    def score(self, features: Tensor) -> Tensor:
        features = features.to(self.classifier.weight.dtype)
        # Scores are float32 whatever the weights are: softmax and its mean need the digits.
        return self.classifier(self.dropout(features)).float()

    def reset(self, num_labels: int) -> None:
        self.classifier = make_new_linear(self.classifier, num_labels)
