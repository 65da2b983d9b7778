"""Single frames fused: an image encoder on every frame, and one vector made of what it says of them.

"Large-scale Video Classification with Convolutional Neural Networks" (Karpathy et al., CVPR 2014), and "Temporal
Segment Networks: Towards Good Practices for Deep Action Recognition" (Wang et al., ECCV 2016, arXiv:1608.00859).

Shapes: B videos, T frames, C channels, H×W pixels, D features.
"""

from collections.abc import Callable
from typing import cast

from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention
from transformers.utils.generic import can_return_tuple

from muybridge.models.frame_pooling.configuration_frame_pooling import FramePoolingConfig
from muybridge.models.image_encoder import FramesForVideoClassification, FramesPreTrainedModel, ImageEncoder
from muybridge.models.simple_cnn.layers import HiddenLinear

# (B, T, D) → (B, D)
REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda frames: frames.mean(dim=1),
    "max": lambda frames: frames.amax(dim=1),
    "sum": lambda frames: frames.sum(dim=1),
}


class Reduction(nn.Module):
    """A fusion without weights: (B, T, D) → (B, D)."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, frames: Tensor) -> Tensor:
        return REDUCTIONS[self.name](frames)


class AttentionFusion(nn.Module):
    """The mean of the frames' features, weighted by a softmax over the frames: (B, T, D) → (B, D)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        # A bias would change every frame's score alike, and so no weight.
        self.score = nn.Linear(size, 1, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        return (self.score(frames).softmax(dim=1) * frames).sum(dim=1)


class NetworkFusion(nn.Module):
    """Two linear layers on the features of all frames side by side: (B, T, D) → (B, D')."""

    def __init__(self, num_frames: int, size: int, fusion_size: int) -> None:
        super().__init__()
        self.num_frames = num_frames
        self.layers = nn.Sequential(
            HiddenLinear(num_frames * size, fusion_size),
            nn.ReLU(inplace=True),
            HiddenLinear(fusion_size, fusion_size),
            nn.ReLU(inplace=True),
        )

    def forward(self, frames: Tensor) -> Tensor:
        return self.layers(frames.flatten(1))


def make_fusion(config: FramePoolingConfig) -> nn.Module:
    size = cast(int, config.frame_hidden_size)
    if config.fusion == "attention":
        return AttentionFusion(size)
    if config.fusion == "network":
        return NetworkFusion(config.num_frames, size, config.fusion_size)
    return Reduction(config.fusion)


class FramePoolingPreTrainedModel(FramesPreTrainedModel):
    config: FramePoolingConfig
    base_model_prefix = "frame_pooling"

    def __init__(self, config: FramePoolingConfig) -> None:
        super().__init__(config)
        self.sees_order = config.fusion == "network"


class FramePoolingModel(FramePoolingPreTrainedModel):
    """The trunk: (B, T, C, H, W) → last_hidden_state (B, T, D), a row a frame; pooler_output (B, D), these fused.

    Its stages are the encoder's, and the fusion. What the encoder's give has B·T rows.
    """

    def __init__(self, config: FramePoolingConfig) -> None:
        super().__init__(config)
        self.encoder = ImageEncoder(config)
        self.fusion = make_fusion(config)
        self.post_init()

    def get_stages(self) -> list[nn.Module]:
        return [*self.encoder.get_stages(), self.fusion]

    def check_frames(self, pixel_values_videos: Tensor) -> None:
        self.check_inputs(pixel_values_videos=pixel_values_videos)
        num_frames, expected = pixel_values_videos.shape[1], self.config.num_frames
        if self.config.fusion == "network" and num_frames != expected:
            raise ValueError(
                f"the clip has {num_frames} frames; this network's fusion knows their order and takes {expected}"
            )

    @can_return_tuple
    def forward(
        self, pixel_values_videos: Tensor, output_hidden_states: bool | None = None
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        self.check_frames(pixel_values_videos)
        keep = self.keeps_hidden_states(output_hidden_states)
        frames, hidden_states = self.encoder.encode(pixel_values_videos, keep)
        pooled = self.fusion(frames)
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=frames,
            pooler_output=pooled,
            hidden_states=(*hidden_states, pooled) if keep else None,
        )


class FramePoolingForVideoClassification(FramePoolingPreTrainedModel, FramesForVideoClassification):
    trunk_class = FramePoolingModel
