"""Weights of google-deepmind/kinetics-i3d: the I3D of the paper's authors, as checkpoints of TensorFlow."""

from collections.abc import Mapping

import torch
from torch import Tensor

from muybridge.conversion.sources import Source
from muybridge.models.i3d import I3DFlowProcessor, I3DVideoProcessor
from muybridge.processing import FlowProcessor, VideoProcessor

# What the weights were made with: 25 frames a second, short side 256, the middle 224×224, clips of 64 frames.
# Four such clips see a video of Kinetics whole.
PROTOCOL = {
    "num_clips": 4,
    "aggregation": "logits",
    "sampling": "dense",
    "num_frames": 64,
    "fps": 25,
    "short_side": 256,
    "crop_size": 224,
}
UNITS = {"0": "Conv3d_0a_1x1", "1.0": "Conv3d_0a_1x1", "1.1": "Conv3d_0b_3x3", "2.0": "Conv3d_0a_1x1"}
UNITS |= {"2.1": "Conv3d_0b_3x3", "3.1": "Conv3d_0b_1x1"}


def adapt(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Kernels (T, H, W, in, out) as (out, in, T, H, W), and the classifier's as (out, in).

    The norms have no scale: it is 1.
    """
    tensors = dict(state_dict)
    for name, tensor in state_dict.items():
        if tensor.ndim == 5:
            kernel = tensor.permute(4, 3, 0, 1, 2)
            tensors[name] = kernel.flatten(1) if "/Logits/" in name else kernel
        elif name.endswith("/batch_norm/beta"):
            tensors.setdefault(name.removesuffix("beta") + "gamma", torch.ones_like(tensor))
    return tensors


def make_source(name: str, scope: str, modality: str, processor_class: type[VideoProcessor | FlowProcessor]) -> Source:
    root = f"{scope}/inception_i3d/"
    return Source(
        name=f"deepmind/{name}",
        fields={"modality": modality},
        renames=[
            (r"^i3d\.conv3d_(\w+)\.", rf"{root}Conv3d_\1."),
            # The authors call one unit otherwise than its fellows.
            (r"^i3d\.mixed_5b\.branch_2\.1\.", f"{root}Mixed_5b/Branch_2/Conv3d_0a_3x3."),
            (
                r"^i3d\.mixed_(\w+)\.branch_((\d)(?:\.\d)?)\.",
                lambda match: f"{root}Mixed_{match[1]}/Branch_{match[3]}/{UNITS[match[2]]}.",
            ),
            (r"^head\.classifier\.", f"{root}Logits/Conv3d_0c_1x1.convolution."),
            (r"\.convolution\.weight$", "/conv_3d/w"),
            (r"\.convolution\.bias$", "/conv_3d/b"),
            (r"\.norm\.num_batches_tracked$", "/batch_norm.num_batches_tracked"),
            (r"\.norm\.weight$", "/batch_norm/gamma"),
            (r"\.norm\.bias$", "/batch_norm/beta"),
            (r"\.norm\.running_mean$", "/batch_norm/moving_mean"),
            (r"\.norm\.running_var$", "/batch_norm/moving_variance"),
        ],
        classifier=f"{root}Logits/Conv3d_0c_1x1/conv_3d/w",
        protocol=PROTOCOL,
        processor_class=processor_class,
        adapt=adapt,
    )


SOURCES = [
    make_source("i3d_rgb", "RGB", "rgb", I3DVideoProcessor),
    make_source("i3d_flow", "Flow", "flow", I3DFlowProcessor),
]
