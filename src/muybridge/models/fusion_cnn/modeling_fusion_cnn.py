"""Networks that fuse the frames of a clip: early, late, slowly, or not at all, and of one or two resolutions.

"Large-scale Video Classification with Convolutional Neural Networks" (Karpathy et al., CVPR 2014).

The paper says nothing of padding; convolutions that pad half their kernel and poolings that drop what is left over give
the 7×7×256 that it says both its full frames and its half ones end in.

Shapes: B videos, T frames, C channels, H×W pixels.
"""

from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention
from transformers.utils.generic import can_return_tuple

from muybridge.models.fusion_cnn.configuration_fusion_cnn import FusionCNNConfig
from muybridge.models.layers.fully_connected import FullyConnected
from muybridge.models.layers.local_response_norm import LocalResponseNorm
from muybridge.models.video_base import VideoForClassification, VideoPreTrainedModel

NUM_NORMS = NUM_POOLINGS = 2  # after so many convolutions from the first


def make_convolution(config: FusionCNNConfig, index: int) -> nn.Module:
    in_channels = config.hidden_sizes[index - 1] if index else config.num_channels
    channels, kernel = config.hidden_sizes[index], config.kernel_sizes[index]
    stride, margin = 1 if index else config.stem_stride, kernel // 2
    if index >= len(config.reaches):
        return nn.Conv2d(in_channels, channels, kernel, stride, margin)
    frames, frame_stride = config.reaches[index]
    return nn.Conv3d(
        in_channels, channels, (frames, kernel, kernel), (frame_stride, stride, stride), (0, margin, margin)
    )


class FusionCNNStage(GradientCheckpointingLayer):
    """A convolution, and the norm and the pooling that may follow it: (B, C, T, H, W) → (B, C', T', H', W').

    Where it does not see time it is one of images, and takes frame by frame.
    """

    def __init__(self, config: FusionCNNConfig, index: int) -> None:
        super().__init__()
        self.sees_time = index < len(config.reaches)
        channels = config.hidden_sizes[index]
        layers = [make_convolution(config, index)]
        if config.has_batch_norm:
            layers.append(nn.BatchNorm3d(channels) if self.sees_time else nn.BatchNorm2d(channels))
        layers.append(nn.ReLU(inplace=True))
        if index < NUM_NORMS and not config.has_batch_norm:
            layers.append(LocalResponseNorm(size=5, alpha=1e-4, beta=0.5, k=2))
        if index < NUM_POOLINGS or (index == len(config.hidden_sizes) - 1 and config.is_last_pooled):
            layers.append(nn.MaxPool3d((1, 2, 2)) if self.sees_time else nn.MaxPool2d(2))
        self.layers = nn.Sequential(*layers)

    def forward(self, hidden: Tensor) -> Tensor:
        if self.sees_time:
            return self.layers(hidden)
        frames = hidden.shape[2]
        images = hidden.transpose(1, 2).flatten(0, 1)  # (B·T, C, H, W)
        return self.layers(images).unflatten(0, (-1, frames)).transpose(1, 2)


class FusionCNNPreTrainedModel(VideoPreTrainedModel):
    config: FusionCNNConfig
    base_model_prefix = "fusion_cnn"
    _no_split_modules = ("FusionCNNStage",)

    def __init__(self, config: FusionCNNConfig) -> None:
        super().__init__(config)
        self.sees_order = config.fusion != "single"


class FusionCNNModel(FusionCNNPreTrainedModel):
    """The trunk: (B, T, C, H, W) → last_hidden_state (B, C', T', H', W'), pooler_output (B, D): the output of fc7.

    T' is 2 with late fusion and else 1, and both streams stand beside each other in C'. `hidden_states` are those of
    the first convolution of every stream, then of the second, …, then of fc6 and fc7.
    """

    def __init__(self, config: FusionCNNConfig) -> None:
        super().__init__(config)
        self.streams = nn.ModuleDict(
            {
                name: nn.ModuleList(FusionCNNStage(config, index) for index in range(len(config.hidden_sizes)))
                for name in config.stream_names
            }
        )
        size = config.fully_connected_size
        num_features = len(self.streams) * config.hidden_sizes[-1] * config.num_fused * config.grid_size**2
        self.fc6 = FullyConnected(num_features, size)
        self.dropout = nn.Dropout(config.fully_connected_dropout or 0.0)
        self.fc7 = FullyConnected(size, size)
        self.post_init()

    def get_stages(self) -> list[nn.Module]:
        return [*chain.from_iterable(zip(*self.streams.values(), strict=True)), self.fc6, self.fc7]

    def check_size(self, pixel_values_videos: Tensor) -> None:
        self.check_inputs(pixel_values_videos=pixel_values_videos)
        if pixel_values_videos.shape[1:] != self.input_shapes()["pixel_values_videos"]:
            frames, _, height, width = pixel_values_videos.shape[1:]
            raise ValueError(
                f"the clip has {frames} frames of {height}×{width}; this network of {self.config.fusion} fusion takes "
                f"{self.config.num_frames} of {self.config.image_size}×{self.config.image_size}"
            )

    @can_return_tuple
    def forward(
        self, pixel_values_videos: Tensor, output_hidden_states: bool | None = None
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        self.check_size(pixel_values_videos)
        if self.config.fusion == "late":
            pixel_values_videos = torch.stack([pixel_values_videos[:, 0], pixel_values_videos[:, -1]], dim=1)
        clip = pixel_values_videos.transpose(1, 2)  # (B, C, T, H, W)
        hidden = {name: select_view(name, clip) for name in self.streams}
        hidden_states: list[Tensor] = []
        for stages in zip(*self.streams.values(), strict=True):
            hidden = {name: stage(hidden[name]) for name, stage in zip(hidden, stages, strict=True)}
            hidden_states.extend(hidden.values())
        last = torch.cat(list(hidden.values()), dim=1)
        fc6 = self.fc6(last.flatten(1))
        fc7 = self.fc7(self.dropout(fc6))
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=last,
            pooler_output=fc7,
            hidden_states=(*hidden_states, fc6, fc7) if self.keeps_hidden_states(output_hidden_states) else None,
        )


def select_view(stream: str, clip: Tensor) -> Tensor:
    """What a stream sees of a clip (B, C, T, H, W): all of it, all of it at half the size, or its middle."""
    if stream == "context":
        return F.avg_pool2d(clip.flatten(0, 1), 2).unflatten(0, clip.shape[:2])
    if stream == "full":
        return clip
    height, width = clip.shape[-2] // 2, clip.shape[-1] // 2
    top, left = height // 2, width // 2
    return clip[..., top : top + height, left : left + width]


class FusionCNNForVideoClassification(FusionCNNPreTrainedModel, VideoForClassification):
    trunk_class = FusionCNNModel
