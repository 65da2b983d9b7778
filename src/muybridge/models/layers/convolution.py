"""Convolutions with what follows each of them."""

from collections import OrderedDict

from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer


class ConvolutionBlock(GradientCheckpointingLayer):
    """A convolution, its batch norm where it has one, and ReLU."""

    def __init__(self, convolution: nn.Conv2d | nn.Conv3d, norm: nn.Module | None = None) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict(convolution=convolution)
        if norm is not None:
            layers["norm"] = norm
        layers["activation"] = nn.ReLU(inplace=True)
        self.layers = nn.Sequential(layers)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.layers(hidden)
