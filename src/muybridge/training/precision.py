"""bfloat16 on processors, and a fault of oneDNN's that makes its gradients wrong where a clip has become short.

Where a convolution pads frames and has fewer of them than its kernel is long, oneDNN (3.12, as in torch 2.13) computes
wrong gradients of bfloat16 weights on processors with AVX-512, and reads memory that it does not own: NaN by chance,
and anything else otherwise. A network that halves 16 frames three times has two of them in its last stage, and kernels
of three.
"""

from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn


def pad_short_clips(model: nn.Module) -> None:
    """Has every convolution pad by itself what is shorter than its kernel: the same numbers, and right gradients."""
    for module in model.modules():
        if isinstance(module, nn.Conv3d) and module.padding[0]:
            module.register_forward_pre_hook(partial(pad_if_short, num_frames=int(module.padding[0])))


def pad_if_short(convolution: nn.Conv3d, inputs: tuple[Tensor], *, num_frames: int) -> tuple[Tensor]:
    """Zeros before and after the clip (B, C, T, H, W), in the place of the padding within the convolution."""
    (hidden,) = inputs
    is_short = hidden.shape[2] < convolution.kernel_size[0]
    convolution.padding = (0 if is_short else num_frames, *convolution.padding[1:])
    return (F.pad(hidden, (0, 0, 0, 0, num_frames, num_frames)) if is_short else hidden,)
