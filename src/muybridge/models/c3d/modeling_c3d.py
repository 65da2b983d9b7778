"""C3D: eight 3×3×3 convolutions and two fully connected layers on a clip of 16 frames.

"Learning Spatiotemporal Features with 3D Convolutional Networks" (Tran et al., ICCV 2015, arXiv:1412.0767).

Shapes: B videos, T frames, C channels, H×W pixels.
"""

from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention
from transformers.utils.generic import can_return_tuple

from muybridge.models.base import run_stages
from muybridge.models.c3d.configuration_c3d import C3DConfig
from muybridge.models.layers.fully_connected import FullyConnected
from muybridge.models.video_base import VideoForClassification, VideoPreTrainedModel


class C3DStage(GradientCheckpointingLayer):
    """Convolutions of one width, and a pooling: of space alone in the first stage, perhaps padded in the last."""

    def __init__(self, config: C3DConfig, index: int) -> None:
        super().__init__()
        channels = config.hidden_sizes[index]
        in_channels = config.hidden_sizes[index - 1] if index else config.num_channels
        layers: list[nn.Module] = []
        for _ in range(config.depths[index]):
            layers.append(nn.Conv3d(in_channels, channels, kernel_size=3, padding=1))
            if config.has_batch_norm:
                layers.append(nn.BatchNorm3d(channels))
            layers.append(nn.ReLU(inplace=True))
            in_channels = channels
        frames = 2 if index else 1
        margin = 1 if index == len(config.depths) - 1 and config.is_last_pooling_padded else 0
        layers.append(nn.MaxPool3d(kernel_size=(frames, 2, 2), stride=(frames, 2, 2), padding=(0, margin, margin)))
        self.layers = nn.Sequential(*layers)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.layers(hidden)


class C3DPreTrainedModel(VideoPreTrainedModel):
    config: C3DConfig
    sees_order = True
    base_model_prefix = "c3d"
    _no_split_modules = ("C3DStage",)


class C3DModel(C3DPreTrainedModel):
    """The trunk: (B, T, C, H, W) → last_hidden_state (B, C', T', H', W'), pooler_output (B, D): the output of fc7.

    `hidden_states` are those of the five stages, then of fc6 (the features that linear classifiers are trained on)
    and of fc7. The clip must have the frames and size of the config.
    """

    def __init__(self, config: C3DConfig) -> None:
        super().__init__(config)
        frames, side = config.grid
        size = config.fully_connected_size
        self.stages = nn.ModuleList(C3DStage(config, index) for index in range(len(config.depths)))
        self.fc6 = FullyConnected(config.hidden_sizes[-1] * frames * side * side, size)
        self.dropout = nn.Dropout(config.fully_connected_dropout or 0.0)
        self.fc7 = FullyConnected(size, size)
        self.post_init()

    def get_stages(self) -> list[nn.Module]:
        return [*self.stages, self.fc6, self.fc7]

    def check_size(self, pixel_values_videos: Tensor) -> None:
        self.check_inputs(pixel_values_videos=pixel_values_videos)
        expected = (self.config.num_frames, self.config.image_size, self.config.image_size)
        frames, _, *size = pixel_values_videos.shape[1:]
        if (frames, *size) != expected:
            raise ValueError(
                f"the clip has {frames} frames of {size[0]}×{size[1]}; this C3D's fully connected layers take "
                f"{expected[0]} frames of {expected[1]}×{expected[2]}"
            )

    @can_return_tuple
    def forward(
        self, pixel_values_videos: Tensor, output_hidden_states: bool | None = None
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        self.check_size(pixel_values_videos)
        keep = self.keeps_hidden_states(output_hidden_states)
        hidden = pixel_values_videos.transpose(1, 2)  # (B, C, T, H, W)
        hidden, hidden_states = run_stages(self.stages, hidden, keep=keep)
        fc6 = self.fc6(hidden.flatten(1))
        fc7 = self.fc7(self.dropout(fc6))
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=hidden,
            pooler_output=fc7,
            hidden_states=(*hidden_states, fc6, fc7) if hidden_states is not None else None,
        )


class C3DForVideoClassification(C3DPreTrainedModel, VideoForClassification):
    trunk_class = C3DModel
