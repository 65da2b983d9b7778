"""GoogLeNet, or Inception-v1: modules of four branches side by side, and two heads that help in training.

"Going Deeper with Convolutions" (Szegedy et al., CVPR 2015, arXiv:1409.4842); with batch norm as torchvision has it.

Shapes: B images, V views of each, C channels, H×W pixels, h×w places of the last stage's map, D features, L labels.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import (
    BaseModelOutputWithPoolingAndNoAttention,
    ImageClassifierOutputWithNoAttention,
)
from transformers.utils.generic import can_return_tuple

from muybridge.models.base import average_views, get_aggregation
from muybridge.models.googlenet.configuration_googlenet import GoogLeNetConfig
from muybridge.models.layers.convolution import ConvolutionBlock, convolved
from muybridge.models.layers.local_response_norm import LocalResponseNorm
from muybridge.models.layers.pooling import MaxPooling2d
from muybridge.models.layers.score_map import MappedForImageClassification, MappedTrunk

# ImageNet's colours, by which images come normalised.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def convolution_of(config: GoogLeNetConfig, in_channels: int, channels: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, channels, size, stride, size // 2, bias=not config.has_batch_norm)


def norm_of(config: GoogLeNetConfig, channels: int) -> nn.BatchNorm2d | None:
    return nn.BatchNorm2d(channels, eps=config.batch_norm_eps) if config.has_batch_norm else None


def block(config: GoogLeNetConfig, in_channels: int, channels: int, size: int, stride: int = 1) -> ConvolutionBlock:
    return ConvolutionBlock(convolution_of(config, in_channels, channels, size, stride), norm_of(config, channels))


def response_norm(config: GoogLeNetConfig) -> LocalResponseNorm:
    return LocalResponseNorm(
        config.norm_size, config.norm_alpha, config.norm_beta, config.norm_k, config.norm_neighbours
    )


def first_stage(config: GoogLeNetConfig) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=block(config, config.num_channels, config.stem_sizes[0], 7, stride=2),
        pool1=MaxPooling2d(3, 2, ceil_mode=True),
    )
    if not config.has_batch_norm:
        layers["norm1"] = response_norm(config)
    return nn.Sequential(layers)


def second_stage(config: GoogLeNetConfig) -> nn.Sequential:
    before, reduced, channels = config.stem_sizes
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        reduce2=block(config, before, reduced, 1), conv2=block(config, reduced, channels, 3)
    )
    if not config.has_batch_norm:
        layers["norm2"] = response_norm(config)
    layers["pool2"] = MaxPooling2d(3, 2, ceil_mode=True)
    return nn.Sequential(layers)


class InceptionModule(GradientCheckpointingLayer):
    """Four branches of one map, whose channels are put one after the other."""

    def __init__(self, config: GoogLeNetConfig, in_channels: int, sizes: Sequence[int]) -> None:
        super().__init__()
        one, three_reduced, three, five_reduced, five, pooled = sizes

        def layers(in_channels: int, channels: int, size: int) -> nn.Sequential:
            return convolved(convolution_of(config, in_channels, channels, size), norm_of(config, channels))

        self.branch_1x1 = layers(in_channels, one, 1)
        self.branch_3x3 = nn.Sequential(layers(in_channels, three_reduced, 1), layers(three_reduced, three, 3))
        self.branch_5x5 = nn.Sequential(
            layers(in_channels, five_reduced, 1), layers(five_reduced, five, config.large_kernel_size)
        )
        self.branch_pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), layers(in_channels, pooled, 1))

    def forward(self, hidden: Tensor) -> Tensor:
        branches = (self.branch_1x1, self.branch_3x3, self.branch_5x5, self.branch_pooled)
        return torch.cat([branch(hidden) for branch in branches], dim=1)


class AuxiliaryHead(nn.Module):
    """A small classifier on the map of a module in the middle of the network."""

    def __init__(self, config: GoogLeNetConfig, in_channels: int) -> None:
        super().__init__()
        channels, size = config.auxiliary_sizes
        if config.auxiliary_pooling == "windows":
            self.pooling: nn.Module = nn.AvgPool2d(5, 3)
            side = (config.auxiliary_side() - 5) // 3 + 1
        else:
            self.pooling, side = nn.AdaptiveAvgPool2d(4), 4
        self.convolution = block(config, in_channels, channels, 1)
        self.fully_connected = nn.Sequential(nn.Linear(channels * side * side, size), nn.ReLU(inplace=True))
        self.dropout = nn.Dropout(config.auxiliary_dropout)
        self.classifier = nn.Linear(size, config.num_labels)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.convolution(self.pooling(hidden)).flatten(1)
        return self.classifier(self.dropout(self.fully_connected(hidden)))

    def reset_classifier(self, num_labels: int) -> None:
        old = self.classifier.weight
        self.classifier = nn.Linear(old.shape[1], num_labels, device=old.device, dtype=old.dtype)


class GoogLeNetPreTrainedModel(MappedTrunk):
    config: GoogLeNetConfig
    base_model_prefix = "googlenet"
    _no_split_modules = ("ConvolutionBlock", "InceptionModule")
    _keys_to_ignore_on_load_unexpected = (r"^(classifier|auxiliary_heads)\.",)


class GoogLeNetModel(GoogLeNetPreTrainedModel):
    """The trunk: (B, C, H, W) → last_hidden_state (B, D, h, w), pooler_output (B, D): its mean over all places.

    `hidden_states` are those of conv1 and conv2, and of the inception modules 3a to 5b.
    """

    def __init__(self, config: GoogLeNetConfig) -> None:
        super().__init__(config)
        self.conv1 = first_stage(config)
        self.conv2 = second_stage(config)
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
    """Its auxiliary heads, where it has them, are for training alone: what they give is in the loss."""

    trunk_class = GoogLeNetModel

    def __init__(self, config: GoogLeNetConfig) -> None:
        super().__init__(config)
        if config.has_auxiliary_heads:
            self.auxiliary_heads = nn.ModuleDict(
                {name: AuxiliaryHead(config, channels) for name, channels in auxiliary_channels(config).items()}
            )
            self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        num_items_in_batch: Tensor | int | None = None,
    ) -> ImageClassifierOutputWithNoAttention:
        """Logits (B, L) of images (B, C, H, W), or of views (B, V, C, H, W), whose probabilities are averaged.

        `num_items_in_batch` is how many images the Trainer accumulates gradients over. In training the loss has those
        of the auxiliary heads in it.
        """
        if labels is None or not self.training or not self.config.has_auxiliary_heads:
            return super().forward(pixel_values, labels, output_hidden_states, num_items_in_batch)
        flat, num_views = self.flatten_views(pixel_values)
        outputs = self.base_model(flat, output_hidden_states=True, return_dict=True)
        kept = outputs.hidden_states if self.keeps_hidden_states(output_hidden_states) else None
        output = self.classify(outputs.pooler_output, num_views, labels, kept, num_items_in_batch)
        maps = dict(zip(self.base_model.stage_names, outputs.hidden_states, strict=True))
        for name, head in self.auxiliary_heads.items():
            logits = head(maps[name]).float()
            if num_views is not None:
                logits = average_views(logits.unflatten(0, (-1, num_views)), get_aggregation(self.config))
            loss = self.loss_function(labels, logits, self.config, num_items_in_batch=num_items_in_batch)
            output.loss = output.loss + self.config.auxiliary_loss_weight * loss
        return output

    def reset_classifier(self, labels: int | Sequence[str]) -> None:
        super().reset_classifier(labels)
        for head in self.modules():
            if isinstance(head, AuxiliaryHead):
                head.reset_classifier(self.num_labels)


def auxiliary_channels(config: GoogLeNetConfig) -> dict[str, int]:
    """The channels that each module gives behind which a head stands."""
    names = [name for stage in config.inception_names for name in stage]
    channels = dict(zip(names, config.inception_channels, strict=True))
    return {name: channels[name] for name in config.auxiliary_names}
