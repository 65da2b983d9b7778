"""What a network is and what it costs: inputs, parameters, multiply-accumulates."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel

from muybridge.models.adapters import adapt
from muybridge.models.inputs import describe_shapes
from muybridge.models.registry import get_architecture


def count_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def make_random_inputs(
    model: PreTrainedModel, batch_size: int = 1, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    """A batch of noise for every input that the network takes, of the sizes that its config says."""
    inputs = {}
    for name, shape in adapt(model).input_shapes().items():
        if name.endswith("_ids"):  # words of a vocabulary
            inputs[name] = torch.randint(model.config.vocab_size, (batch_size, *shape), generator=generator)
        else:
            inputs[name] = torch.randn(batch_size, *shape, generator=generator)
    return inputs


def count_gmacs(model: PreTrainedModel) -> float:
    """Billions of multiply-accumulates for one clip or image of the network's size; nothing is computed."""
    with torch.device("meta"):
        empty = type(model)(model.config).eval().requires_grad_(False)
        inputs = make_random_inputs(model)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        empty(**inputs)
    return counter.get_total_flops() / 2e9  # a multiply-accumulate is two operations


def describe_network(model: PreTrainedModel) -> dict[str, Any]:
    """What a network takes, gives and costs, by the names under which commands show it."""
    config, network = model.config, adapt(model)
    architecture = get_architecture(config.model_type)
    unit = architecture.get_task().unit.replace(" ", "_")
    head = getattr(config, "head", None)
    facts = {
        "architecture": config.model_type,
        "parameters": count_parameters(model),
        f"gmacs_{unit}": round(count_gmacs(model), 2),
        "input": describe_shapes(network.input_shapes(), with_channels=True),
        "features": getattr(config, "hidden_size", None),
        "head": head["name"] if isinstance(head, Mapping) else None,
        "labels": config.num_labels,
    }
    if hasattr(config, "get_protocol"):
        facts["protocol"] = str(config.get_protocol()) if config.protocol else "none is stated"
    return {name: value for name, value in facts.items() if value is not None}
