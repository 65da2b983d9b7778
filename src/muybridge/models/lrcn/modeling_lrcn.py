"""LRCN: an image encoder on every frame, and an LSTM or GRU on its features.

"Long-term Recurrent Convolutional Networks for Visual Recognition and Description" (Donahue et al., CVPR 2015,
arXiv:1411.4389).

Shapes: B videos, V views of each, T frames, C channels, H×W pixels, D features, L labels.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention, ImageClassifierOutputWithNoAttention
from transformers.utils.generic import can_return_tuple

from muybridge.models.heads import average_where
from muybridge.models.image_encoder import FramesForVideoClassification, FramesPreTrainedModel, ImageEncoder
from muybridge.models.lrcn.configuration_lrcn import LRCNConfig
from muybridge.models.lrcn.recurrence import Recurrence, State
from muybridge.models.simple_cnn.layers import Shape, build_layer, compute_shape


class StreamState(NamedTuple):
    """What is kept of the frames so far: the states of the recurrent layers, and what the head carries on."""

    layers: tuple[State, ...]
    head: Any


def get_last_state(states: Tensor, bidirectional: bool) -> Tensor:
    """The state (B, D) after the last frame, of states (B, T, D); that of a backward half stands at the first."""
    if not bidirectional:
        return states[:, -1]
    size = states.shape[-1] // 2
    return torch.cat([states[:, -1, :size], states[:, 0, size:]], dim=-1)


def make_readout_layers(config: LRCNConfig) -> nn.Sequential:
    shape: Shape = (config.state_size,)
    modules: list[nn.Module] = []
    for layer in config.readout_layers:
        modules += build_layer(layer, shape)
        shape = compute_shape([layer], shape)
    return nn.Sequential(*modules)


class LRCNPreTrainedModel(FramesPreTrainedModel):
    config: LRCNConfig
    base_model_prefix = "lrcn"
    sees_order = True
    takes_frame_mask = True

    def __init__(self, config: LRCNConfig) -> None:
        super().__init__(config)
        self.can_step = not config.bidirectional


class LRCNModel(LRCNPreTrainedModel):
    """The trunk: (B, T, C, H, W) → last_hidden_state (B, T, D), one a frame; pooler_output (B, D), last or mean.

    Its stages are the encoder's, the recurrence, and the readout layers where there are such. What the encoder's give
    has B·T rows. Frames whose `frame_mask` (B, T) is False change nothing.
    """

    def __init__(self, config: LRCNConfig) -> None:
        super().__init__(config)
        self.encoder = ImageEncoder(config)
        self.recurrence = Recurrence(config)
        self.readout_layers = make_readout_layers(config)
        self.post_init()

    def get_stages(self) -> list[nn.Module]:
        last = [self.readout_layers] if len(self.readout_layers) else []
        return [*self.encoder.get_stages(), self.recurrence, *last]

    @can_return_tuple
    def forward(
        self,
        pixel_values_videos: Tensor,
        output_hidden_states: bool | None = None,
        frame_mask: Tensor | None = None,
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        self.check_inputs(pixel_values_videos=pixel_values_videos)
        mask = None if frame_mask is None else self.check_mask(pixel_values_videos, frame_mask)
        keep = self.keeps_hidden_states(output_hidden_states)
        features, hidden_states = self.encoder.encode(pixel_values_videos, keep)
        states = self.recurrence(features, mask)
        if self.config.readout == "average":
            read = self.readout_layers(states.flatten(0, 1))
            frames = read.unflatten(0, (-1, states.shape[1]))
            pooled = frames.mean(dim=1) if mask is None else average_where(frames, 1, mask)
        else:
            frames, read = states, self.readout_layers(get_last_state(states, self.config.bidirectional))
            pooled = read
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=frames,
            pooler_output=pooled,
            hidden_states=(*hidden_states, states, *([read] if len(self.readout_layers) else [])) if keep else None,
        )

    def check_mask(self, pixel_values_videos: Tensor, frame_mask: Tensor) -> Tensor:
        """The mask as truth values; one of another shape, or of a video without a real frame, is refused."""
        mask = self.check_frame_mask(frame_mask, pixel_values_videos)
        if not torch.compiler.is_compiling() and not mask.any(dim=1).all():
            raise ValueError("frame_mask is False for every frame of a video; each needs a real one")
        return mask


class LRCNForVideoClassification(LRCNPreTrainedModel, FramesForVideoClassification):
    trunk_class = LRCNModel

    @can_return_tuple
    def forward(
        self,
        pixel_values_videos: Tensor,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        num_items_in_batch: Tensor | int | None = None,
        frame_mask: Tensor | None = None,
    ) -> ImageClassifierOutputWithNoAttention:
        """As in every network; frames whose `frame_mask` (B, T), or (B, V, T), is False change nothing."""
        inputs = {"pixel_values_videos": pixel_values_videos, "frame_mask": frame_mask}
        return self.classify(inputs, labels, output_hidden_states, num_items_in_batch)

    def step(
        self, frame: Tensor, state: StreamState | None = None
    ) -> tuple[ImageClassifierOutputWithNoAttention, StreamState]:
        """The logits (B, L) of the video up to and with this frame (B, C, H, W), and the state for the next one.

        They are those of the whole video so far: after the last frame, what the model gives for all of them.
        """
        if not self.can_step:
            raise ValueError(
                "this LRCN is bidirectional: what it says of a frame depends on those to come, and it cannot be stepped"
            )
        self.check_inputs(pixel_values_videos=frame[:, None])
        features = self.base_model.encoder(frame)
        hidden, layers = self.base_model.recurrence.step(features, None if state is None else state.layers)
        logits, carried = self.head.step(self.base_model.readout_layers(hidden), None if state is None else state.head)
        return ImageClassifierOutputWithNoAttention(logits=logits), StreamState(layers, carried)
