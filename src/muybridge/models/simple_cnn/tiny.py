"""A small network of the listed layers, for tests and demonstrations."""

from typing import Any

TINY_LAYERS: tuple[dict[str, Any], ...] = (
    {"kind": "convolution", "channels": 8, "kernel_size": 3, "stride": 2, "padding": "same"},
    {"kind": "activation", "function": "relu"},
    {"kind": "max_pooling", "kernel_size": 4},
    {"kind": "convolution", "channels": 32, "kernel_size": 3, "padding": "same"},
    {"kind": "batch_norm"},
    {"kind": "activation", "function": "relu"},
    {"kind": "flatten"},
    {"kind": "linear", "features": 16},
)
# For tests and demonstrations of networks that put an image encoder on frames.
TINY_BACKBONE: dict[str, Any] = {"model_type": "simple_cnn", "image_size": 32, "layers": TINY_LAYERS}
