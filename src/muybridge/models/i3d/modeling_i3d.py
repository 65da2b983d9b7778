"""I3D: the Inception network of images with its filters and poolings inflated into time.

"Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset" (Carreira and Zisserman, CVPR 2017,
arXiv:1705.07750).

Shapes: B videos, T frames, C channels, H×W pixels; D features at t×h×w positions.
"""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention, ImageClassifierOutputWithNoAttention
from transformers.utils.generic import can_return_tuple

from muybridge.models.i3d.configuration_i3d import POOLINGS, I3DConfig
from muybridge.models.i3d.padding import MaxPooling3d, RestOfSamePadding, compute_least_padding
from muybridge.models.i3d.video_processing_i3d import I3DFlowProcessor, I3DVideoProcessor
from muybridge.models.video_base import VideoForClassification, VideoPreTrainedModel

MIXED_NAMES = ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")


class I3DUnit(nn.Sequential):
    """A convolution of k×k×k, its batch norm and ReLU."""

    def __init__(self, config: I3DConfig, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        padding = kernel // 2
        if config.padding == "same":
            padding = compute_least_padding(kernel, stride)
            if stride > 1:
                layers["padding"] = RestOfSamePadding((kernel,) * 3, (stride,) * 3)
        layers["convolution"] = nn.Conv3d(in_channels, out_channels, kernel, stride, padding, bias=False)
        layers["norm"] = nn.BatchNorm3d(out_channels, eps=config.batch_norm_eps)
        layers["activation"] = nn.ReLU(inplace=True)
        super().__init__(layers)


def make_pooling(config: I3DConfig, index: int) -> MaxPooling3d:
    (frames, pixels), (stride_frames, stride_pixels) = POOLINGS[index]
    return MaxPooling3d((frames, pixels, pixels), (stride_frames, stride_pixels, stride_pixels), config.padding)


class I3DMixedBlock(GradientCheckpointingLayer):
    """Four branches beside each other: a convolution of single positions, two of 3×3×3, and a pooling."""

    def __init__(self, config: I3DConfig, index: int) -> None:
        super().__init__()
        in_channels = config.count_mixed_output(index - 1) if index else config.scale_channels(config.hidden_sizes[-1])
        b0, b1a, b1b, b2a, b2b, b3b = config.get_mixed_channels(index)
        pooling = MaxPooling3d((3, 3, 3), (1, 1, 1), config.padding)
        self.branch_0 = I3DUnit(config, in_channels, b0, kernel=1)
        self.branch_1 = nn.Sequential(I3DUnit(config, in_channels, b1a, kernel=1), I3DUnit(config, b1a, b1b, kernel=3))
        self.branch_2 = nn.Sequential(I3DUnit(config, in_channels, b2a, kernel=1), I3DUnit(config, b2a, b2b, kernel=3))
        self.branch_3 = nn.Sequential(pooling, I3DUnit(config, in_channels, b3b, kernel=1))

    def forward(self, hidden: Tensor) -> Tensor:
        branches = (self.branch_0, self.branch_1, self.branch_2, self.branch_3)
        return torch.cat([branch(hidden) for branch in branches], dim=1)


class I3DPreTrainedModel(VideoPreTrainedModel):
    config: I3DConfig
    sees_order = True
    base_model_prefix = "i3d"
    _no_split_modules = ("I3DMixedBlock",)


class I3DModel(I3DPreTrainedModel):
    """The trunk: frames (B, T, C, H, W), or flow, → last_hidden_state (B, D, t, h, w), pooler_output (B, D).

    Its layers have the paper's names, from `conv3d_1a_7x7` to `mixed_5c`. `hidden_states` are those of the twelve
    that have weights; what a pooling gives, `get_features("max_pool3d_4a_3x3", …)` tells.

    The original averages two neighbouring positions in time, classifies each such pair, and averages their logits: so
    the first and the last position count half in `pooler_output`.
    """

    def __init__(self, config: I3DConfig) -> None:
        super().__init__(config)
        first, second, third = map(config.scale_channels, config.hidden_sizes)
        self.conv3d_1a_7x7 = I3DUnit(config, config.num_channels or 0, first, kernel=7, stride=2)
        self.max_pool3d_2a_3x3 = make_pooling(config, 0)
        self.conv3d_2b_1x1 = I3DUnit(config, first, second, kernel=1)
        self.conv3d_2c_3x3 = I3DUnit(config, second, third, kernel=3)
        poolings = {"3b": ("3a_3x3", 1), "4b": ("4a_3x3", 2), "5b": ("5a_2x2", 3)}
        for index, name in enumerate(MIXED_NAMES):
            if name in poolings:
                pooling_name, pooling_index = poolings[name]
                self.add_module(f"max_pool3d_{pooling_name}", make_pooling(config, pooling_index))
            self.add_module(f"mixed_{name}", I3DMixedBlock(config, index))
        self.post_init()

    def get_stages(self) -> list[nn.Module]:
        return [layer for layer in self.children() if not isinstance(layer, MaxPooling3d)]

    def check_clip(self, **inputs: Tensor | None) -> Tensor:
        """The one input, if it is large enough."""
        (clip,) = self.check_inputs(**inputs).values()
        frames, _, height, width = clip.shape[1:]
        self.config.check_size(frames, height, width)
        return clip

    @can_return_tuple
    def forward(
        self,
        pixel_values_videos: Tensor | None = None,
        output_hidden_states: bool | None = None,
        flow_values: Tensor | None = None,
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        clip = self.check_clip(pixel_values_videos=pixel_values_videos, flow_values=flow_values)
        hidden = clip.transpose(1, 2)  # (B, C, T, H, W)
        hidden_states = []
        for layer in self.children():
            hidden = layer(hidden)
            if not isinstance(layer, MaxPooling3d):
                hidden_states.append(hidden)
        positions = hidden.mean(dim=(3, 4))  # (B, D, t)
        pairs = (positions[:, :, :-1] + positions[:, :, 1:]) / 2
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=hidden,
            pooler_output=pairs.mean(dim=2),
            hidden_states=tuple(hidden_states) if self.keeps_hidden_states(output_hidden_states) else None,
        )


class I3DForVideoClassification(I3DPreTrainedModel, VideoForClassification):
    trunk_class = I3DModel

    def get_processor_class(self) -> Any:
        return I3DFlowProcessor if self.config.modality == "flow" else I3DVideoProcessor

    @can_return_tuple
    def forward(
        self,
        pixel_values_videos: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        num_items_in_batch: Tensor | int | None = None,
        flow_values: Tensor | None = None,
    ) -> ImageClassifierOutputWithNoAttention:
        """As in every network for videos; with `modality="flow"` it takes `flow_values` instead."""
        inputs = {"pixel_values_videos": pixel_values_videos, "flow_values": flow_values}
        return self.classify(inputs, labels, output_hidden_states, num_items_in_batch)
