"""Max pooling that remembers where each maximum was."""

import torch.nn.functional as F
from torch import Tensor, nn


class MaxPooling2d(nn.MaxPool2d):
    """Max pooling whose switches, the places of the maxima, can be had: a deconvnet puts values back by them."""

    def pool_with_switches(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The maxima (B, C, h, w), and the place of each among the H·W values of its channel, for `max_unpool2d`."""
        return F.max_pool2d(
            hidden, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, return_indices=True
        )
