"""A forward pass of every architecture as its config is by default: the plain network, and what `optimize` makes of it.

Beside the I3D stands the formulation of the common PyTorch ports: zeros are padded explicitly before every convolution
and pooling, which then pads nothing itself.
"""

import copy
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from benchmarks.common import time_in_turn
from torch import Tensor, nn

from muybridge import ARCHITECTURES, optimize
from muybridge.models.i3d.modeling_i3d import I3DUnit
from muybridge.models.i3d.padding import MaxPooling3d, Triple, compute_same_padding
from muybridge.models.inspection import count_gmacs, count_parameters, make_random_inputs

ROUNDS = 5


def run() -> dict[str, Any]:
    torch.manual_seed(0)
    with torch.inference_mode():
        return {
            "what": "forward pass of one input in the network's own size; plain is eager float32",
            "networks": {name: measure(architecture) for name, architecture in ARCHITECTURES.items()},
            "i3d_beside_explicit_padding": compare_with_explicit_padding(),
        }


def measure(architecture: Any) -> dict[str, Any]:
    plain = architecture.task_model(architecture.config()).eval()
    inputs = make_random_inputs(plain)
    variants = {"plain": plain, "exact": optimize(plain, exact=True), "optimized": optimize(plain)}
    seconds = time_in_turn(
        {name: partial(model, **inputs) for name, model in variants.items()}, rounds=ROUNDS, settle=True
    )
    gmacs = count_gmacs(plain)
    return {
        "title": architecture.title,
        "input": [size for shape in plain.input_shapes().values() for size in shape],
        "parameters": count_parameters(plain),
        "gmacs": round(gmacs, 2),
        **{
            name: {
                "ms": round(1e3 * value, 1),
                "times_faster": round(seconds["plain"] / value, 2),
                "gmacs_per_second": round(gmacs / value),
            }
            for name, value in seconds.items()
        },
    }


def compare_with_explicit_padding() -> dict[str, Any]:
    architecture = ARCHITECTURES["i3d"]
    ours = architecture.task_model(architecture.config()).eval()
    explicit = pad_explicitly(copy.deepcopy(ours))
    (clip,) = make_random_inputs(ours).values()
    variants = {"explicit padding": explicit, "ours": ours, "ours, optimized": optimize(ours)}
    torch.testing.assert_close(explicit(clip).logits, ours(clip).logits, rtol=1e-4, atol=1e-4)
    seconds = time_in_turn({name: partial(model, clip) for name, model in variants.items()}, rounds=ROUNDS, settle=True)
    return {
        name: {"ms": round(1e3 * value, 1), "times_faster": round(seconds["explicit padding"] / value, 2)}
        for name, value in seconds.items()
    }


class PaddedExplicitly(nn.Module):
    """A layer that pads nothing, after zeros written around its input."""

    def __init__(self, layer: nn.Module, kernel: Triple, stride: Triple) -> None:
        super().__init__()
        self.layer = layer
        self.kernel = kernel
        self.stride = stride

    def forward(self, hidden: Tensor) -> Tensor:
        sides = [compute_same_padding(*sizes) for sizes in zip(hidden.shape[2:], self.kernel, self.stride, strict=True)]
        return self.layer(F.pad(hidden, [zeros for side in reversed(sides) for zeros in side]))


def pad_explicitly(model: nn.Module) -> nn.Module:
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, MaxPooling3d):
                pooling = nn.MaxPool3d(child.kernel, child.stride)
                module.add_module(name, PaddedExplicitly(pooling, child.kernel, child.stride))
        if isinstance(module, I3DUnit):
            convolution = module.convolution
            convolution.padding = (0, 0, 0)
            padded = PaddedExplicitly(convolution, convolution.kernel_size, convolution.stride)
            module.padding = nn.Identity()
            module.convolution = padded
    return model
