"""Config of a small convolutional network whose layers are listed one by one."""

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict

from muybridge.models.image_base import ImageConfig
from muybridge.models.simple_cnn.layers import Shape, compute_shape

# Four convolutions and poolings, 64×64 pixels to 64 numbers: what stands before the LSTM in small LRCNs.
RELU = {"kind": "activation", "function": "relu"}
DEFAULT_LAYERS: tuple[dict[str, Any], ...] = (
    {"kind": "convolution", "channels": 16, "kernel_size": 3, "padding": "same"},
    RELU,
    {"kind": "max_pooling", "kernel_size": 4},
    {"kind": "dropout", "rate": 0.25},
    {"kind": "convolution", "channels": 32, "kernel_size": 3, "padding": "same"},
    RELU,
    {"kind": "max_pooling", "kernel_size": 4},
    {"kind": "dropout", "rate": 0.25},
    {"kind": "convolution", "channels": 64, "kernel_size": 3, "padding": "same"},
    RELU,
    {"kind": "max_pooling", "kernel_size": 2},
    {"kind": "dropout", "rate": 0.25},
    {"kind": "convolution", "channels": 64, "kernel_size": 3, "padding": "same"},
    RELU,
    {"kind": "max_pooling", "kernel_size": 2},
    {"kind": "flatten"},
)


@strict
class SimpleCNNConfig(ImageConfig):
    """A network of the `layers` that are listed, in turn: dictionaries as `simple_cnn.layers.KINDS` has them.

    Its features are what the last layer gives, and the mean of each channel where that is a map.
    """

    model_type: ClassVar[str] = "simple_cnn"

    image_size: int = 64
    layers: list[dict[str, Any]] | tuple[dict[str, Any], ...] = DEFAULT_LAYERS

    def default_hidden_size(self) -> int:
        return self.compute_output_shape()[0]

    def compute_output_shape(self) -> Shape:
        return compute_shape(self.layers, self.input_shapes()["pixel_values"])

    def validate_layers(self) -> None:
        if not self.layers:
            raise ValueError("layers is empty; a network needs at least one layer")
        self.compute_output_shape()

    @property
    def has_fixed_size(self) -> bool:
        """Whether the network takes images of its own size alone: flattened, every place has weights of its own."""
        return any(layer["kind"] == "flatten" for layer in self.layers)
