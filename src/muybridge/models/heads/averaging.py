"""The mean of several scores of one thing, over views, frames or networks: of their probabilities or of their logits.

Shapes: B videos, V views of each, L labels.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig

from muybridge.types import Protocol


def has_softmax(config: PreTrainedConfig) -> bool:
    """Whether the labels exclude each other, so that a softmax makes probabilities of the logits."""
    return config.problem_type not in ("multi_label_classification", "regression")


def get_aggregation(config: PreTrainedConfig) -> str:
    """What is averaged over views: "softmax" or "logits", as the config's protocol says.

    Labels that do not exclude each other have no softmax: their logits are averaged.
    """
    if not has_softmax(config):
        return "logits"
    protocol: Any = config.get_protocol() if hasattr(config, "get_protocol") else Protocol()
    return protocol.aggregation


def average_logits(logits: Tensor, dim: int, aggregation: str, mask: Tensor | None = None) -> Tensor:
    """The logits (…, L) of several scores (…, N, L) along `dim`; those whose `mask` (…, N) is False do not count.

    With `aggregation="softmax"`, softmax of the result is the mean of the probabilities; with "logits" it is the mean
    of the logits.
    """
    if aggregation == "logits":
        return logits.mean(dim=dim) if mask is None else average_where(logits, dim, mask)
    # In logarithms: a probability that float32 rounds to zero would make the loss infinite.
    logarithms = logits.log_softmax(dim=-1)
    if mask is None:
        count = torch.tensor(logits.shape[dim], dtype=logits.dtype, device=logits.device)
    else:
        logarithms = logarithms.masked_fill(~mask[..., None], -torch.inf)
        count = mask.sum(dim=dim + 1 if dim < 0 else dim, dtype=logits.dtype)[..., None]
    return logarithms.logsumexp(dim=dim) - count.log()


def average_where(values: Tensor, dim: int, mask: Tensor) -> Tensor:
    """The mean (…, D) of those values (…, N, D) along `dim` whose `mask` (…, N) is True."""
    weights = mask[..., None].to(values.dtype)
    return (values * weights).sum(dim=dim) / weights.sum(dim=dim)


def average_views(logits: Tensor, aggregation: str) -> Tensor:
    """The logits of an image or a video (B, L) from those of its views (B, V, L). A single view keeps its logits."""
    return logits[:, 0] if logits.shape[1] == 1 else average_logits(logits, 1, aggregation)
