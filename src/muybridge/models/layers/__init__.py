"""What several architectures are made of."""

from muybridge.models.layers.convolution import ConvolutionBlock, convolved
from muybridge.models.layers.fully_connected import FullyConnected, windows
from muybridge.models.layers.local_response_norm import LocalResponseNorm
from muybridge.models.layers.mapped_configuration import MappedConfig, pooled_side
from muybridge.models.layers.pooling import MaxPooling2d
from muybridge.models.layers.presets import WithPresets
from muybridge.models.layers.score_map import MappedForImageClassification, MappedTrunk

__all__ = [
    "ConvolutionBlock",
    "FullyConnected",
    "LocalResponseNorm",
    "MappedConfig",
    "MappedForImageClassification",
    "MappedTrunk",
    "MaxPooling2d",
    "WithPresets",
    "convolved",
    "pooled_side",
    "windows",
]
