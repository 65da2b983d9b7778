"""What a network costs: parameters and multiply-accumulates."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel

from muybridge.models.registry import input_shape_of


def count_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def count_gmacs(model: PreTrainedModel) -> float:
    """Billions of multiply-accumulates for one clip or image of the network's size; nothing is computed."""
    with torch.device("meta"):
        empty = type(model)(model.config).eval()
        inputs = torch.empty(1, *input_shape_of(model.config))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        empty(inputs)
    return counter.get_total_flops() / 2e9  # a multiply-accumulate is two operations
