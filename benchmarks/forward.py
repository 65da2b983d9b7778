"""A forward pass on the processor: the plain float32 network, and what `muybridge.optimize` makes of it.

The bound is the best that this machine reaches in a matrix product of the same precision. oneDNN's convolutions are
better tuned than torch's float32 product on some processors: there the share of the bound goes beyond one.
"""

import math
from functools import partial
from typing import Any

import torch
from benchmarks.common import time_in_turn
from torch import Tensor, nn
from transformers import PreTrainedModel

from muybridge import optimize
from muybridge.conversion import SOURCES
from muybridge.models.inspection import count_gmacs

NETWORKS = {"R3D-18": "torchvision/r3d_18", "R(2+1)D-18": "torchvision/r2plus1d_18"}
ROUNDS = {1: 9, 8: 3}  # by batch size
NUM_COMPARED = 100
MATRIX_SIZES = (1024, 2048, 4096)


def run() -> dict[str, Any]:
    bounds = measure_matrix_products()
    networks = {}
    with torch.inference_mode():
        for name, source in NETWORKS.items():
            plain = make_network(source)
            teach(plain, make_clips(NUM_COMPARED, seed=0))
            variants = {"plain": plain, "exact": optimize(plain, exact=True), "optimized": optimize(plain)}
            networks[name] = {
                "gmacs": round(count_gmacs(plain), 1),
                **{f"batch {size}": measure(variants, size, bounds) for size in ROUNDS},
                "same_answer": compare(variants),
            }
    return {
        "what": "forward pass of 16×112×112 clips; plain is eager float32, exact is optimize(exact=True)",
        "matrix_product_tflops": {name: round(value, 3) for name, value in bounds.items()},
        "networks": networks,
    }


def measure_matrix_products() -> dict[str, float]:
    """Tera floating-point operations a second of square matrix products, the best of several sizes."""
    best = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrices = {size: torch.randn(size, size).to(dtype) for size in MATRIX_SIZES}
        seconds = time_in_turn({str(size): partial(torch.mm, matrix, matrix) for size, matrix in matrices.items()})
        best[get_name(dtype)] = max(2 * size**3 / seconds[str(size)] / 1e12 for size in MATRIX_SIZES)
    return best


def get_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def make_network(source_name: str) -> PreTrainedModel:
    """Kernels that keep the size of the activations, and norms near the identity, as the goldens of the tests have."""
    generator = torch.Generator().manual_seed(0)
    source = SOURCES[source_name]
    architecture = source.architecture
    model = architecture.task_model(architecture.config(num_labels=NUM_COMPARED, **source.fields)).eval()
    for name, tensor in model.state_dict().items():
        if tensor.ndim > 1:
            tensor.normal_(0, math.sqrt(2 / tensor[0].numel()), generator=generator)
        elif name.endswith("running_var"):
            tensor.normal_(0, 0.1, generator=generator).abs_().add_(1)
        elif tensor.is_floating_point():
            tensor.normal_(float(name.endswith("weight")), 0.05, generator=generator)
    return model


def teach(model: PreTrainedModel, clips: Tensor) -> None:
    """Sets the classifier so that label i is the likeness to clip i: a random one would give every clip one label."""
    features = torch.cat([model.base_model(clip[None]).pooler_output for clip in clips])
    mean = features.mean(dim=0)
    weight = (features - mean) / features.std(dim=0)
    model.get_head().classifier.weight.copy_(weight)
    model.get_head().classifier.bias.copy_(
        -(weight * (features + mean)).sum(dim=1) / 2
    )  # the nearest has the highest score


def make_clips(num_clips: int, *, seed: int) -> Tensor:
    """Blocks of 4 frames and 16×16 pixels of one random value, with fine noise: (B, T, C, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.randn(num_clips, 3, 4, 7, 7, generator=generator)
    coarse = nn.functional.interpolate(blocks, scale_factor=(4, 16, 16)).transpose(1, 2)
    return coarse + 0.1 * torch.randn(coarse.shape, generator=generator)


def measure(variants: dict[str, PreTrainedModel], batch_size: int, bounds: dict[str, float]) -> dict[str, Any]:
    """Milliseconds, the ratio to the plain network, and the share of the matrix product's speed, of each variant."""
    clips = make_clips(batch_size, seed=0)
    seconds = time_in_turn(
        {name: partial(model, clips) for name, model in variants.items()}, rounds=ROUNDS[batch_size], settle=True
    )
    tera_operations = 2 * count_gmacs(variants["plain"]) * batch_size / 1e3
    rows = {}
    for name, model in variants.items():
        speed = tera_operations / seconds[name]
        rows[name] = {
            "ms": round(1e3 * seconds[name], 1),
            "times_faster": round(seconds["plain"] / seconds[name], 2),
            "gmacs_per_second": round(1e3 * speed / 2),
            "share_of_matrix_product": round(speed / bounds[get_name(model.dtype)], 2),
        }
    return rows


def compare(variants: dict[str, PreTrainedModel]) -> dict[str, Any]:
    """How often a variant gives the plain network's label, and how far its scores are from that network's."""
    clips = make_clips(NUM_COMPARED, seed=0)
    clips = (clips + 0.2 * torch.randn(clips.shape, generator=torch.Generator().manual_seed(1))).split(1)
    logits = {name: torch.cat([model(clip).logits for clip in clips]) for name, model in variants.items()}
    expected = logits.pop("plain")
    best = expected.topk(2).values
    return {
        "inputs": NUM_COMPARED,
        "labels_seen": expected.argmax(dim=1).unique().numel(),
        # How far the best score is from the second, in the deviations of the scores of one clip.
        "median_margin": round(((best[:, 0] - best[:, 1]) / expected.std(dim=1)).median().item(), 3),
        **{name: compare_logits(actual, expected) for name, actual in logits.items()},
    }


def compare_logits(actual: Tensor, expected: Tensor) -> dict[str, Any]:
    differences = (actual - expected).norm(dim=1) / expected.norm(dim=1)
    return {
        "same_label": (actual.argmax(dim=1) == expected.argmax(dim=1)).sum().item(),
        "largest_difference": float(f"{differences.max().item():.1e}"),
    }
