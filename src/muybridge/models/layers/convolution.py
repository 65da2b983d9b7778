"""Convolutions with what follows each of them."""

from collections import OrderedDict

from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

Convolution = nn.Conv2d | nn.Conv3d


def make_convolution_layers(convolution: Convolution, norm: nn.Module | None = None) -> nn.Sequential:
    """A convolution, its batch norm where it has one, and ReLU."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(convolution=convolution)
    if norm is not None:
        layers["norm"] = norm
    layers["activation"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


class ConvolutionBlock(GradientCheckpointingLayer):
    """A convolution, its batch norm where it has one, and ReLU, which keep nothing between where memory is short."""

    def __init__(self, convolution: Convolution, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.layers = make_convolution_layers(convolution, norm)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.layers(hidden)
