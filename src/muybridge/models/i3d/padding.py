"""How convolutions and poolings reach beyond the edges of a video.

"same", as TensorFlow has it: a stride of s makes ceil(n / s) positions of n, and the zeros that this takes lie evenly
on both sides, an odd one at the end. How many they are depends on n.

"symmetric", as image networks of Caffe and torch have it: a convolution has k // 2 zeros on both sides, a pooling with
a stride none, and its last window may reach over the end.

Shapes: (B, C, T, H, W).
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Triple = tuple[int, int, int]  # frames, height, width
Padding = Literal["same", "symmetric"]


def compute_same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """How many zeros TensorFlow's "SAME" puts before and after `size` positions."""
    num_outputs = -(-size // stride)
    total = max(0, (num_outputs - 1) * stride + kernel - size)
    return total // 2, total - total // 2


def compute_least_padding(kernel: int, stride: int) -> int:
    """What "same" puts on both sides of any number of positions, at the least."""
    return max(0, kernel - stride) // 2


def compute_convolved_size(size: int, kernel: int, stride: int, padding: Padding) -> int:
    """How many positions a convolution makes of `size`; none or fewer where they do not suffice."""
    if padding == "same":
        return -(-size // stride)
    return (size + kernel // 2 * 2 - kernel) // stride + 1


def compute_pooled_size(size: int, kernel: int, stride: int, padding: Padding) -> int:
    """How many positions a max pooling makes of `size`; none or fewer where they do not suffice."""
    if padding == "same":
        return -(-size // stride)
    margin = kernel // 2 if stride == 1 else 0
    return -(-(size + 2 * margin - kernel) // stride) + 1


class RestOfSamePadding(nn.Module):
    """The zeros of "same" padding that a convolution with `least_padding` does not add itself."""

    def __init__(self, kernel: Triple, stride: Triple) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride

    def forward(self, hidden: Tensor) -> Tensor:
        rest: list[int] = []
        for size, kernel, stride in zip(hidden.shape[2:], self.kernel, self.stride, strict=True):
            before, after = compute_same_padding(size, kernel, stride)
            within = compute_least_padding(kernel, stride)
            rest = [before - within, after - within, *rest]  # torch names the last axis first
        return F.pad(hidden, rest) if any(rest) else hidden


class MaxPooling3d(nn.Module):
    """Max pooling with the padding of I3D's, of which nothing is ever the maximum.

    "same" padding needs no zeros written: torch pads as many on both sides, and a window that reaches over the end
    takes the odd one.
    """

    def __init__(self, kernel: Triple, stride: Triple, padding: Padding) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride
        self.padding = padding

    def forward(self, hidden: Tensor) -> Tensor:
        if hidden.device.type == "cpu":  # where torch's kernel for this layout is twenty times as fast
            hidden = hidden.contiguous(memory_format=torch.channels_last_3d)
        margins = [
            self.compute_margin(*sizes) for sizes in zip(hidden.shape[2:], self.kernel, self.stride, strict=True)
        ]
        return F.max_pool3d(hidden, self.kernel, self.stride, margins, ceil_mode=True)

    def compute_margin(self, size: int, kernel: int, stride: int) -> int:
        if self.padding == "same":
            return compute_same_padding(size, kernel, stride)[0]
        return kernel // 2 if stride == 1 else 0

    def extra_repr(self) -> str:
        return f"{self.kernel}, stride={self.stride}, padding={self.padding!r}"
