"""The mean of scores that a trunk gives already.

Shapes: N videos, M scores of each, L labels.
"""

from torch import Tensor
from transformers import PreTrainedConfig

from muybridge.models.heads.averaging import average_logits, has_softmax
from muybridge.models.heads.head import Head, HeadNumbers


class MeanHead(Head):
    """The logits whose softmax is the mean of the probabilities that M logits stand for: (N, M·L) → (N, L).

    Labels that do not exclude each other have no probabilities: then it is the mean of the logits. It has no weights.
    """

    has_weights = False

    def __init__(self, config: PreTrainedConfig, num_labels: int, numbers: HeadNumbers) -> None:  # noqa: ARG002  # none
        super().__init__(config)
        self.num_labels = num_labels

    def score(self, features: Tensor) -> Tensor:
        scores = features.float().unflatten(-1, (-1, self.num_labels))  # (…, M, L)
        return average_logits(scores, -2, "softmax" if has_softmax(self.config) else "logits")
