"""Recorded outputs of original implementations, and the weights and inputs that they were recorded with.

A golden names every tensor of the original with its shape. Weights are drawn from a generator seeded by the
tensor's name, inputs from one seeded by a number, so that nothing but names, shapes and outputs is stored.
"""

import json
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

FOLDER = Path(__file__).parent / "goldens"


@dataclass(frozen=True)
class Golden:
    source: str
    input_shape: tuple[int, ...]
    shapes: dict[str, tuple[int, ...]]
    logits: Tensor  # the first 64
    num_logits: int
    norm: float

    @classmethod
    def load(cls, name: str) -> "Golden":
        content = json.loads((FOLDER / f"{name}.json").read_text())
        return cls(
            source=content["source"],
            input_shape=tuple(content["input_shape"]),
            shapes={name: tuple(shape) for name, shape in content["state"]},
            logits=torch.tensor(content["logits"], dtype=torch.float64),
            num_logits=content["logits_len"],
            norm=content["logits_norm"],
        )

    def state_dict(self) -> dict[str, Tensor]:
        return {name: weight(name, shape) for name, shape in self.shapes.items()}

    def clip(self, seed: int = 0) -> Tensor:
        """The input: a clip (B, T, C, H, W), or an image (B, C, H, W)."""
        values = pattern(self.input_shape, seed)
        return values.transpose(1, 2) if values.ndim == 5 else values


def weight(name: str, shape: tuple[int, ...]) -> Tensor:
    """He-scaled kernels, norms near the identity, small biases."""
    kind = name.rpartition(".")[2]
    if kind == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.int64)
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, dtype=np.float32)
    if kind == "running_var":
        return torch.from_numpy(1 + np.float32(0.1) * np.abs(noise))
    if len(shape) > 1:
        return torch.from_numpy(noise * np.float32(math.sqrt(2 / math.prod(shape[1:]))))
    return torch.from_numpy(1 + np.float32(0.1) * noise if kind == "weight" else np.float32(0.02) * noise)


def pattern(shape: tuple[int, ...], seed: int) -> Tensor:
    """Blocks of 4 frames and 16×16 pixels of one random value, and fine noise."""
    generator = np.random.default_rng(seed)
    block = (1, 1, 4, 16, 16) if len(shape) == 5 else (1, 1, 16, 16)
    coarse = generator.standard_normal(
        [-(-size // step) for size, step in zip(shape, block, strict=True)], dtype=np.float32
    )
    for axis, step in enumerate(block):
        coarse = np.repeat(coarse, step, axis)
    coarse = coarse[tuple(slice(size) for size in shape)]
    return torch.from_numpy(coarse + np.float32(0.1) * generator.standard_normal(shape, dtype=np.float32))
