"""Plain networks: stages of convolutions one after the other, then fully connected layers.

Shapes: B images, C channels, H×W pixels, h×w places of the last stage's map, D features.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention
from transformers.utils.generic import can_return_tuple

from muybridge.models.layers.convolution import ConvolutionBlock
from muybridge.models.layers.fully_connected import FullyConnected, slide_windows
from muybridge.models.layers.local_response_norm import LocalResponseNorm
from muybridge.models.layers.plain_configuration import PlainConfig
from muybridge.models.layers.pooling import MaxPooling2d
from muybridge.models.layers.score_map import MappedForImageClassification, MappedTrunk


@dataclass
class PlainModelOutput(BaseModelOutputWithPoolingAndNoAttention):
    """`switches` has, for each max pooling in turn, where its maxima were."""

    switches: tuple[Tensor, ...] | None = None


class PlainStage(nn.Sequential):
    """Convolutions of one width, named as in the papers: conv1, or conv1_1 and conv1_2; then norm1 and pool1."""

    def __init__(self, config: PlainConfig, index: int) -> None:
        number, depth = index + 1, config.depths[index]
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for place in range(depth):
            name = f"conv{number}" if depth == 1 else f"conv{number}_{place + 1}"
            layers[name] = make_convolution_block(config, index, is_first=place == 0)
        if number in config.normalized_stages:
            layers[f"norm{number}"] = LocalResponseNorm(
                config.norm_size, config.norm_alpha, config.norm_beta, config.norm_k, config.norm_neighbours
            )
        if number in config.pooled_stages:
            layers[f"pool{number}"] = MaxPooling2d(
                config.pooling_size, config.pooling_stride, ceil_mode=config.is_pooling_ceiled
            )
            if not config.is_normalized_first and f"norm{number}" in layers:
                layers.move_to_end(f"norm{number}")
        super().__init__(layers)


def make_convolution_block(config: PlainConfig, index: int, *, is_first: bool) -> ConvolutionBlock:
    before = config.hidden_sizes[index - 1] if index else config.num_channels
    channels = config.hidden_sizes[index]
    convolution = nn.Conv2d(
        before if is_first else channels,
        channels,
        config.kernel_sizes[index],
        config.strides[index],
        config.paddings[index],
        groups=config.groups[index],
    )
    return ConvolutionBlock(convolution, nn.BatchNorm2d(channels) if config.has_batch_norm else None)


def run_with_switches(stage: Iterable[nn.Module], hidden: Tensor) -> tuple[Tensor, list[Tensor]]:
    """What a stage gives, and the switches of its max poolings."""
    switches = []
    for layer in stage:
        if isinstance(layer, MaxPooling2d):
            hidden, indices = layer.pool_with_switches(hidden)
            switches.append(indices)
        else:
            hidden = layer(hidden)
    return hidden, switches


class PlainPreTrainedModel(MappedTrunk):
    config: PlainConfig
    has_switches = True
    _no_split_modules = ("ConvolutionBlock",)


class PlainModel(PlainPreTrainedModel):
    """The trunk: (B, C, H, W) → last_hidden_state (B, C', h, w), pooler_output (B, D): the output of the last layer.

    Its stages are called conv1, conv2 …, and go on with the fully connected ones: fc6, fc7 after five of convolutions.
    `hidden_states` are theirs in turn. On an image larger than the config's the fully connected ones give one row of
    features a place, (B, h, w, D), and `pooler_output` is the mean of the last, unless `pooled_size` keeps one place.
    With `output_switches` the output has the `switches` of every max pooling, for `max_unpool2d`.
    """

    def __init__(self, config: PlainConfig) -> None:
        super().__init__(config)
        depth = len(config.depths)
        self.convolution_names = [f"conv{index + 1}" for index in range(depth)]
        for index, name in enumerate(self.convolution_names):
            setattr(self, name, PlainStage(config, index))
        self.fully_connected_names = [f"fc{depth + 1 + index}" for index in range(len(config.fully_connected_sizes))]
        in_features = config.hidden_sizes[-1] * config.grid**2
        for name, size in zip(self.fully_connected_names, config.fully_connected_sizes, strict=True):
            setattr(self, name, FullyConnected(in_features, size))
            in_features = size
        self.dropouts = nn.ModuleList(map(nn.Dropout, config.fully_connected_dropouts))
        self.post_init()

    def get_stages(self) -> list[nn.Module]:
        return [self.get_submodule(name) for name in (*self.convolution_names, *self.fully_connected_names)]

    @can_return_tuple
    def forward(
        self, pixel_values: Tensor, output_hidden_states: bool | None = None, output_switches: bool = False
    ) -> PlainModelOutput:
        self.check_side(pixel_values, self.smallest_side)
        hidden, hidden_states, switches = pixel_values, [], []
        for name in self.convolution_names:
            stage = self.get_submodule(name)
            if output_switches:
                hidden, of_stage = run_with_switches(stage.children(), hidden)
                switches += of_stage
            else:
                hidden = stage(hidden)
            hidden_states.append(hidden)
        hidden_states += self.run_fully_connected(self.make_connected_input(hidden))
        features = hidden_states[-1]
        return PlainModelOutput(
            last_hidden_state=hidden,
            pooler_output=features if features.ndim == 2 else features.mean(dim=(1, 2)),
            hidden_states=tuple(hidden_states) if self.keeps_hidden_states(output_hidden_states) else None,
            switches=tuple(switches) if output_switches else None,
        )

    def make_connected_input(self, hidden: Tensor) -> Tensor:
        """What the first fully connected layer takes: (B, F), or (B, h, w, F) of a larger image."""
        if self.config.pooled_size:
            hidden = F.adaptive_avg_pool2d(hidden, self.grid)
        is_one_place = hidden.shape[-2:] == (self.grid, self.grid)
        return hidden.flatten(1) if is_one_place else slide_windows(hidden, self.grid)

    def run_fully_connected(self, hidden: Tensor) -> list[Tensor]:
        """What each of the fully connected layers gives."""
        outputs = []
        for name, dropout in zip(self.fully_connected_names, self.dropouts, strict=True):
            hidden = self.get_submodule(name)(dropout(hidden))
            outputs.append(hidden)
        return outputs

    def get_feature_map(self, pixel_values: Tensor) -> Tensor:
        self.check_side(pixel_values, self.smallest_side_of_map)
        hidden = pixel_values
        for name in self.convolution_names:
            hidden = self.get_submodule(name)(hidden)
        return self.run_fully_connected(slide_windows(hidden, self.grid))[-1]


class PlainForImageClassification(PlainPreTrainedModel, MappedForImageClassification):
    """Names its trunk in `trunk_class` and needs nothing else."""
