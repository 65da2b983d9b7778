"""Every frame is scored by itself, and the scores are fused.

Shapes: N videos, T frames, D features of a frame, L labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor
from transformers import PreTrainedConfig

from muybridge.models.heads.averaging import average_logits, get_aggregation
from muybridge.models.heads.head import DropoutNumbers
from muybridge.models.heads.linear import LinearHead

Fusion = Literal["mean", "max", "sum"]


@dataclass(frozen=True)
class FramesNumbers(DropoutNumbers):
    """`fusion` makes one score of those of the frames: their "mean", their "max" or their "sum".

    `aggregation` says what is fused: the probabilities ("softmax") or the "logits"; None is as the protocol averages
    views. "max" and "sum" are of logits.
    """

    fusion: Fusion = "mean"
    aggregation: Literal["softmax", "logits"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fusion not in get_args(Fusion):
            raise ValueError(
                f"fusion of the head is {self.fusion!r}; the scores of frames are fused by "
                f"{', '.join(map(repr, get_args(Fusion)))}"
            )
        if self.aggregation not in ("softmax", "logits", None):
            raise ValueError(f"aggregation of the head is {self.aggregation!r}; it must be 'softmax', 'logits' or None")
        if self.fusion != "mean" and self.aggregation != "logits":
            raise ValueError(
                f"fusion of the head is {self.fusion!r} and aggregation {self.aggregation!r}; only the mean is taken "
                "of probabilities: pass aggregation='logits'"
            )


class FusedFrames(NamedTuple):
    """The scores of the frames so far, fused, and how many frames these are.

    Where probabilities are averaged, `scores` are the logarithms of their sum.
    """

    scores: Tensor
    num_frames: int


class FramesHead(LinearHead):
    """Scores the features (N, T, D) of every frame, and fuses the scores: (N, L).

    Frames whose `frame_mask` (N, T) is False do not count.
    """

    numbers_class = FramesNumbers
    inputs = ("last_hidden_state", "frame_mask")

    def __init__(self, config: PreTrainedConfig, num_labels: int, numbers: FramesNumbers) -> None:
        super().__init__(config, num_labels, numbers)
        self.fusion = numbers.fusion
        self.aggregation = numbers.aggregation

    def forward(self, outputs: Mapping[str, Tensor]) -> Tensor:
        features, mask = outputs["last_hidden_state"], outputs.get("frame_mask")
        if features.ndim != 3 or features.shape[-1] != self.config.hidden_size:
            raise ValueError(
                f"the head 'frames' scores the features (videos, frames, {self.config.hidden_size}) of frames, and the "
                f"last_hidden_state of this trunk has shape {tuple(features.shape)}; use the head 'linear'"
            )
        mask = None if mask is None else mask.bool()  # it may have been kept as numbers
        logits = self.score(features)  # (N, T, L)
        if self.fusion == "mean":
            return average_logits(logits, 1, self.get_aggregation(), mask)
        if mask is not None:
            logits = logits.masked_fill(~mask[..., None], -torch.inf if self.fusion == "max" else 0.0)
        return logits.amax(dim=1) if self.fusion == "max" else logits.sum(dim=1)

    def get_aggregation(self) -> str:
        return self.aggregation or get_aggregation(self.config)

    def step(self, features: Tensor, state: FusedFrames | None = None) -> tuple[Tensor, FusedFrames]:
        logits, num_frames = self.score(features), 1 if state is None else state.num_frames + 1
        is_softmax = self.get_aggregation() == "softmax"
        scores = logits.log_softmax(dim=-1) if is_softmax else logits
        if state is not None:
            fuse = torch.logaddexp if is_softmax else torch.maximum if self.fusion == "max" else torch.add
            scores = fuse(state.scores, scores)
        fused = scores
        if self.fusion == "mean":
            count = torch.tensor(num_frames, dtype=scores.dtype, device=scores.device)
            fused = scores - count.log() if is_softmax else scores / count
        return fused, FusedFrames(scores, num_frames)
