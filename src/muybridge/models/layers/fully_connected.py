"""Fully connected layers, which on a larger map of features run at every place of it.

Shapes: B images, C channels, H×W and h×w places, g the side of the window that a layer was made for, D features.
"""

from torch import Tensor, nn


class FullyConnected(nn.Sequential):
    """A linear layer and ReLU, on the last axis."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(nn.Linear(in_features, out_features), nn.ReLU(inplace=True))


def slide_windows(hidden: Tensor, side: int) -> Tensor:
    """What a layer made for windows of `side`×`side` places sees at each place: (B, C, H, W) → (B, h, w, C·g·g)."""
    slid = hidden.unfold(2, side, 1).unfold(3, side, 1)  # (B, C, h, w, g, g)
    return slid.permute(0, 2, 3, 1, 4, 5).flatten(3)
