"""Local response normalisation, as the networks of 2012 to 2014 have it."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# What `alpha` weighs: the sum over the neighbouring channels (Krizhevsky's paper), or their mean (Caffe, torch).
Neighbours = Literal["sum", "mean"]


class LocalResponseNorm(nn.Module):
    """Divides each value by (k + alpha · s) to the power of beta.

    s is the sum, or the mean, of the squares of `size` neighbouring channels at the same place; channels beyond the
    first and the last count as zero. Takes (B, C, …) of any number of axes, and is several times as fast as torch's.
    """

    def __init__(
        self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0, neighbours: Neighbours = "sum"
    ) -> None:
        super().__init__()
        if size < 1 or size % 2 == 0:
            raise ValueError(f"size is {size}; a window of channels around each has an odd number, 1 or more")
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k
        self.neighbours = neighbours

    def forward(self, hidden: Tensor) -> Tensor:
        weight = self.alpha / self.size if self.neighbours == "mean" else self.alpha
        # float16 ends at 65504: squares of 256 and more would be infinite, and these values become zero.
        values = hidden.float() if hidden.dtype == torch.float16 else hidden
        scale = self.sum_squares(values).mul_(weight).add_(self.k).pow(-self.beta)
        return hidden * scale.to(hidden.dtype)

    def sum_squares(self, hidden: Tensor) -> Tensor:
        margin, channels = self.size // 2, hidden.shape[1]
        squares = F.pad(hidden.square(), (0, 0) * (hidden.ndim - 2) + (margin, margin))
        total = squares.narrow(1, 0, channels).clone()
        for offset in range(1, self.size):
            total += squares.narrow(1, offset, channels)
        return total

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}, neighbours={self.neighbours!r}"
