"""Residual networks on clips: R3D, MC3 and R(2+1)D.

"A Closer Look at Spatiotemporal Convolutions for Action Recognition" (Tran et al., CVPR 2018, arXiv:1711.11248), and
"Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and ImageNet?" (Hara et al., CVPR 2018, arXiv:1711.09577).

Shapes: B videos, T frames, C channels, H×W pixels.
"""

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention
from transformers.utils.generic import can_return_tuple

from muybridge.models.base import run_stages
from muybridge.models.video_base import VideoForClassification, VideoPreTrainedModel
from muybridge.models.video_resnet.configuration_video_resnet import VideoResNetConfig

Triple = tuple[int, int, int]  # frames, height, width


def count_mid_channels(in_channels: int, out_channels: int) -> int:
    """The channels between the halves of a 3×3×3 convolution factorised, so that it keeps its parameters."""
    return (in_channels * out_channels * 27) // (in_channels * 9 + out_channels * 3)


def convolve(in_channels: int, out_channels: int, kernel: Triple, stride: Triple) -> OrderedDict[str, nn.Module]:
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return OrderedDict(
        convolution=nn.Conv3d(in_channels, out_channels, kernel, stride, padding, bias=False),
        norm=nn.BatchNorm3d(out_channels),
    )


def convolve_as(
    name: str,
    in_channels: int,
    out_channels: int,
    *,
    mid_channels: int,
    kernel: Triple = (3, 3, 3),
    stride: Triple = (1, 1, 1),
) -> OrderedDict[str, nn.Module]:
    """A convolution of time and space with its norm: whole ("3d"), of space alone ("2d"), or one after the other."""
    kernel_frames, kernel_height, kernel_width = kernel
    stride_frames, stride_height, stride_width = stride
    space, space_stride = (1, kernel_height, kernel_width), (1, stride_height, stride_width)
    if name == "3d":
        return convolve(in_channels, out_channels, kernel, stride)
    if name == "2d":
        return convolve(in_channels, out_channels, space, space_stride)
    spatial = convolve(in_channels, mid_channels, space, space_stride)
    temporal = convolve(mid_channels, out_channels, (kernel_frames, 1, 1), (stride_frames, 1, 1))
    return OrderedDict(
        spatial=spatial["convolution"],
        spatial_norm=spatial["norm"],
        spatial_activation=nn.ReLU(inplace=True),
        temporal=temporal["convolution"],
        norm=temporal["norm"],
    )


def add_activation(layers: OrderedDict[str, nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers, activation=nn.ReLU(inplace=True)))


class VideoResNetStem(nn.Sequential):
    """The first convolution, 7 pixels wide, and in Hara's networks a pooling."""

    def __init__(self, config: VideoResNetConfig) -> None:
        width = config.hidden_sizes[0]
        layers = convolve_as(
            config.stem_convolution,
            config.num_channels,
            width,
            mid_channels=config.stem_mid_channels,
            kernel=(config.stem_frames, 7, 7),
            stride=(1, 2, 2),
        )
        layers["activation"] = nn.ReLU(inplace=True)
        if config.is_stem_pooled:
            layers["pooling"] = nn.MaxPool3d(kernel_size=3, stride=2, padding=1)
        super().__init__(layers)


class PaddingShortcut(nn.Module):
    """The shortcut without parameters: every `stride`-th position, with zeros for the channels that are new."""

    def __init__(self, num_new_channels: int, stride: int) -> None:
        super().__init__()
        self.num_new_channels = num_new_channels
        self.stride = stride

    def forward(self, hidden: Tensor) -> Tensor:
        thinned = hidden[:, :, :: self.stride, :: self.stride, :: self.stride]
        return F.pad(thinned, (0, 0, 0, 0, 0, 0, 0, self.num_new_channels))


class VideoResNetBlock(GradientCheckpointingLayer):
    """Two convolutions ("basic"), or one between two 1×1×1 ones ("bottleneck"), and a shortcut around them."""

    def __init__(
        self, config: VideoResNetConfig, convolution: str, in_channels: int, channels: int, stride: int
    ) -> None:
        super().__init__()
        out_channels = channels * config.expansion
        strides = (1 if convolution == "2d" else stride, stride, stride)
        block_mid_channels = count_mid_channels(in_channels, channels)

        def make_inner(from_channels: int, stride: Triple) -> OrderedDict[str, nn.Module]:
            mid_channels = (
                block_mid_channels if config.mid_channels == "block" else count_mid_channels(from_channels, channels)
            )
            return convolve_as(convolution, from_channels, channels, mid_channels=mid_channels, stride=stride)

        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if config.block == "basic":
            layers["conv1"] = add_activation(make_inner(in_channels, strides))
            layers["conv2"] = nn.Sequential(make_inner(channels, (1, 1, 1)))
        else:
            layers["conv1"] = add_activation(convolve(in_channels, channels, (1, 1, 1), (1, 1, 1)))
            layers["conv2"] = add_activation(make_inner(channels, strides))
            layers["conv3"] = nn.Sequential(convolve(channels, out_channels, (1, 1, 1), (1, 1, 1)))
        self.layers = nn.Sequential(layers)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = (
                nn.Sequential(convolve(in_channels, out_channels, (1, 1, 1), strides))
                if config.shortcut == "projection"
                else PaddingShortcut(out_channels - in_channels, stride)
            )
        self.activation = nn.ReLU(inplace=True)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.activation(self.layers(hidden) + self.shortcut(hidden))


class VideoResNetStage(nn.Sequential):
    """Blocks of one width; every stage but the first halves time and space in its first block."""

    def __init__(self, config: VideoResNetConfig, index: int) -> None:
        channels = config.hidden_sizes[index]
        out_channels = channels * config.expansion
        in_channels = config.hidden_sizes[index - 1] * config.expansion if index else config.hidden_sizes[0]
        convolution = config.convolutions[index]
        blocks = [VideoResNetBlock(config, convolution, in_channels, channels, stride=2 if index else 1)]
        for _ in range(config.depths[index] - 1):
            blocks.append(VideoResNetBlock(config, convolution, out_channels, channels, stride=1))
        super().__init__(*blocks)


class VideoResNetPreTrainedModel(VideoPreTrainedModel):
    config: VideoResNetConfig
    sees_order = True
    base_model_prefix = "video_resnet"
    _no_split_modules = ("VideoResNetBlock",)


class VideoResNetModel(VideoResNetPreTrainedModel):
    """The trunk: (B, T, C, H, W) → last_hidden_state (B, D, T', H', W'), pooler_output (B, D)."""

    def __init__(self, config: VideoResNetConfig) -> None:
        super().__init__(config)
        self.stem = VideoResNetStem(config)
        self.stages = nn.ModuleList(VideoResNetStage(config, index) for index in range(len(config.depths)))
        self.post_init()

    def get_stages(self) -> list[nn.Module]:
        return [self.stem, *self.stages]

    @can_return_tuple
    def forward(
        self, pixel_values_videos: Tensor, output_hidden_states: bool | None = None
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        self.check_inputs(pixel_values_videos=pixel_values_videos)
        hidden = pixel_values_videos.transpose(1, 2)  # (B, C, T, H, W)
        hidden, hidden_states = run_stages(
            self.get_stages(), hidden, keep=self.keeps_hidden_states(output_hidden_states)
        )
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=hidden, pooler_output=hidden.mean(dim=(2, 3, 4)), hidden_states=hidden_states
        )


class VideoResNetForVideoClassification(VideoResNetPreTrainedModel, VideoForClassification):
    trunk_class = VideoResNetModel
