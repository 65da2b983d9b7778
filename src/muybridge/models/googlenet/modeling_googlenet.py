"""GoogLeNet, or Inception-v1: modules of four branches side by side.

"Going Deeper with Convolutions" (Szegedy et al., CVPR 2015, arXiv:1409.4842); with batch norm as torchvision has it.

Shapes: B images, C channels, H×W pixels, h×w places of the last stage's map, D features.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention
from transformers.utils.generic import can_return_tuple

from muybridge.models.googlenet.configuration_googlenet import GoogLeNetConfig
from muybridge.models.layers.convolution import ConvolutionBlock, make_convolution_layers
from muybridge.models.layers.local_response_norm import LocalResponseNorm
from muybridge.models.layers.pooling import MaxPooling2d
from muybridge.models.layers.score_map import MappedForImageClassification, MappedTrunk

# ImageNet's colours, by which images come normalised.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def make_convolution(config: GoogLeNetConfig, in_channels: int, channels: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, channels, size, stride, size // 2, bias=not config.has_batch_norm)


def make_norm(config: GoogLeNetConfig, channels: int) -> nn.BatchNorm2d | None:
    return nn.BatchNorm2d(channels, eps=config.batch_norm_eps) if config.has_batch_norm else None


def make_block(
    config: GoogLeNetConfig, in_channels: int, channels: int, size: int, stride: int = 1
) -> ConvolutionBlock:
    return ConvolutionBlock(make_convolution(config, in_channels, channels, size, stride), make_norm(config, channels))


def make_response_norm(config: GoogLeNetConfig) -> LocalResponseNorm:
    return LocalResponseNorm(
        config.norm_size, config.norm_alpha, config.norm_beta, config.norm_k, config.norm_neighbours
    )


def make_first_stage(config: GoogLeNetConfig) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=make_block(config, config.num_channels, config.stem_sizes[0], 7, stride=2),
        pool1=MaxPooling2d(3, 2, ceil_mode=True),
    )
    if not config.has_batch_norm:
        layers["norm1"] = make_response_norm(config)
    return nn.Sequential(layers)


def make_second_stage(config: GoogLeNetConfig) -> nn.Sequential:
    before, reduced, channels = config.stem_sizes
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        reduce2=make_block(config, before, reduced, 1), conv2=make_block(config, reduced, channels, 3)
    )
    if not config.has_batch_norm:
        layers["norm2"] = make_response_norm(config)
    layers["pool2"] = MaxPooling2d(3, 2, ceil_mode=True)
    return nn.Sequential(layers)


class InceptionModule(GradientCheckpointingLayer):
    """Four branches of one map, whose channels are put one after the other."""

    def __init__(self, config: GoogLeNetConfig, in_channels: int, sizes: Sequence[int]) -> None:
        super().__init__()
        one, three_reduced, three, five_reduced, five, pooled = sizes

        def make_layers(in_channels: int, channels: int, size: int) -> nn.Sequential:
            return make_convolution_layers(
                make_convolution(config, in_channels, channels, size), make_norm(config, channels)
            )

        self.branch_1x1 = make_layers(in_channels, one, 1)
        self.branch_3x3 = nn.Sequential(
            make_layers(in_channels, three_reduced, 1), make_layers(three_reduced, three, 3)
        )
        self.branch_5x5 = nn.Sequential(
            make_layers(in_channels, five_reduced, 1), make_layers(five_reduced, five, config.large_kernel_size)
        )
        self.branch_pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), make_layers(in_channels, pooled, 1))

    def forward(self, hidden: Tensor) -> Tensor:
        branches = (self.branch_1x1, self.branch_3x3, self.branch_5x5, self.branch_pooled)
        return torch.cat([branch(hidden) for branch in branches], dim=1)


class GoogLeNetPreTrainedModel(MappedTrunk):
    config: GoogLeNetConfig
    base_model_prefix = "googlenet"
    _no_split_modules = ("ConvolutionBlock", "InceptionModule")


class GoogLeNetModel(GoogLeNetPreTrainedModel):
    """The trunk: (B, C, H, W) → last_hidden_state (B, D, h, w), pooler_output (B, D): its mean over all places.

    `hidden_states` are those of conv1 and conv2, and of the inception modules 3a to 5b.
    """

    def __init__(self, config: GoogLeNetConfig) -> None:
        super().__init__(config)
        self.conv1 = make_first_stage(config)
        self.conv2 = make_second_stage(config)
        before = [config.stem_sizes[-1], *config.inception_channels]
        for name, channels, sizes in zip(self.stage_names[2:], before[:-1], config.inception_sizes, strict=True):
            setattr(self, name, InceptionModule(config, channels, sizes))
        self.pool3 = MaxPooling2d(3, 2, ceil_mode=True)
        self.pool4 = MaxPooling2d(config.last_pooling_size, 2, ceil_mode=True)
        self.post_init()

    @property
    def stage_names(self) -> list[str]:
        return ["conv1", "conv2", *(name for stage in self.config.inception_names for name in stage)]

    def get_stages(self) -> list[nn.Module]:
        return [self.get_submodule(name) for name in self.stage_names]

    @can_return_tuple
    def forward(
        self, pixel_values: Tensor, output_hidden_states: bool | None = None
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        self.check_side(pixel_values, self.smallest_side)
        hidden_states = self.run(pixel_values)
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=hidden_states[-1],
            pooler_output=hidden_states[-1].mean(dim=(2, 3)),
            hidden_states=hidden_states if self.keeps_hidden_states(output_hidden_states) else None,
        )

    def run(self, pixel_values: Tensor) -> tuple[Tensor, ...]:
        """What each stage gives."""
        third, fourth, _ = self.config.inception_names
        poolings = {third[-1]: self.pool3, fourth[-1]: self.pool4}
        hidden = to_unit_range(pixel_values) if self.config.transform_input else pixel_values
        hidden_states = []
        for name in self.stage_names:
            hidden_states.append(self.get_submodule(name)(hidden))
            hidden = poolings[name](hidden_states[-1]) if name in poolings else hidden_states[-1]
        return tuple(hidden_states)

    def get_feature_map(self, pixel_values: Tensor) -> Tensor:
        self.check_side(pixel_values, self.smallest_side_of_map)
        features = F.avg_pool2d(self.run(pixel_values)[-1], self.grid, stride=1)
        return features.permute(0, 2, 3, 1)


def to_unit_range(pixel_values: Tensor) -> Tensor:
    """Images normalised by ImageNet's mean and deviation, as pixels in [-1, 1]."""
    scale = pixel_values.new_tensor([deviation / 0.5 for deviation in DEVIATION])
    shift = pixel_values.new_tensor([(mean - 0.5) / 0.5 for mean in MEAN])
    return pixel_values * scale.view(3, 1, 1) + shift.view(3, 1, 1)


class GoogLeNetForImageClassification(GoogLeNetPreTrainedModel, MappedForImageClassification):
    trunk_class = GoogLeNetModel
