"""A small convolutional network whose layers the config lists.

Shapes: B images, C channels, H×W pixels, D features.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention
from transformers.utils.generic import can_return_tuple

from muybridge.models.base import run_stages
from muybridge.models.image_base import ImageForClassification, ImagePreTrainedModel
from muybridge.models.simple_cnn.configuration_simple_cnn import SimpleCNNConfig
from muybridge.models.simple_cnn.layers import Layer, Shape, build_layer, compute_shape

WEIGHTED = ("convolution", "linear")


class SimpleCNNStage(GradientCheckpointingLayer):
    """A convolution or linear layer, and what follows until the next one."""

    def __init__(self, layers: Sequence[Layer], shape: Shape) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        for layer in layers:
            modules += build_layer(layer, shape)
            shape = compute_shape([layer], shape)
        self.layers = nn.Sequential(*modules)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.layers(hidden)


def split_into_stages(layers: Sequence[Layer]) -> list[list[Layer]]:
    """Runs of layers, each with one that has weights; what comes before the first such belongs to it."""
    stages: list[list[Layer]] = [[]]
    for layer in layers:
        if layer["kind"] in WEIGHTED and any(other["kind"] in WEIGHTED for other in stages[-1]):
            stages.append([])
        stages[-1].append(layer)
    return stages


class SimpleCNNPreTrainedModel(ImagePreTrainedModel):
    config: SimpleCNNConfig
    base_model_prefix = "simple_cnn"
    _no_split_modules = ("SimpleCNNStage",)


class SimpleCNNModel(SimpleCNNPreTrainedModel):
    """The trunk: (B, C, H, W) → last_hidden_state, what the last layer gives; pooler_output (B, D)."""

    def __init__(self, config: SimpleCNNConfig) -> None:
        super().__init__(config)
        shape: Shape = config.input_shapes()["pixel_values"]
        stages = []
        for layers in split_into_stages(config.layers):
            stages.append(SimpleCNNStage(layers, shape))
            shape = compute_shape(layers, shape)
        self.stages = nn.ModuleList(stages)
        self.post_init()

    def get_stages(self) -> list[nn.Module]:
        return list(self.stages)

    def check_size(self, pixel_values: Tensor) -> None:
        self.check_inputs(pixel_values=pixel_values)
        height, width = pixel_values.shape[-2:]
        side = self.config.image_size
        if self.config.has_fixed_size and (height, width) != (side, side):
            raise ValueError(f"the images are {height}×{width}; this network's layers take {side}×{side}")

    @can_return_tuple
    def forward(
        self, pixel_values: Tensor, output_hidden_states: bool | None = None
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        self.check_size(pixel_values)
        keep = self.keeps_hidden_states(output_hidden_states)
        hidden, hidden_states = run_stages(self.stages, pixel_values, keep=keep)
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=hidden,
            pooler_output=hidden if hidden.ndim == 2 else hidden.mean(dim=(2, 3)),
            hidden_states=hidden_states,
        )


class SimpleCNNForImageClassification(SimpleCNNPreTrainedModel, ImageForClassification):
    trunk_class = SimpleCNNModel
