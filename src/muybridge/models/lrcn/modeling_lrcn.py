"""LRCN: an image encoder on every frame, and an LSTM or GRU on its features.

"Long-term Recurrent Convolutional Networks for Visual Recognition and Description" (Donahue et al., CVPR 2015,
arXiv:1411.4389).

Shapes: B videos, V views of each, T frames, C channels, H×W pixels, D features, L labels.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention, ImageClassifierOutputWithNoAttention
from transformers.utils.generic import can_return_tuple

from muybridge.models.base import get_aggregation
from muybridge.models.image_encoder import FramesForVideoClassification, FramesPreTrainedModel, ImageEncoder
from muybridge.models.lrcn.configuration_lrcn import LRCNConfig
from muybridge.models.lrcn.recurrence import Recurrence, State
from muybridge.models.simple_cnn.layers import Shape, build, shape_after


class StreamState(NamedTuple):
    """What is kept of the frames so far: the layers' states, the sum of the predictions, and how many there were.

    Where predictions are probabilities, `total` has the logarithms of their sum.
    """

    layers: tuple[State, ...]
    total: Tensor
    num_frames: int


def last_state(states: Tensor, bidirectional: bool) -> Tensor:
    """The state (B, D) after the last frame, of states (B, T, D); that of a backward half stands at the first."""
    if not bidirectional:
        return states[:, -1]
    size = states.shape[-1] // 2
    return torch.cat([states[:, -1, :size], states[:, 0, size:]], dim=-1)


def average_frames(values: Tensor, mask: Tensor | None) -> Tensor:
    """The mean (B, D) over the real frames of values (B, T, D)."""
    if mask is None:
        return values.mean(dim=1)
    weights = mask[..., None].to(values.dtype)
    return (values * weights).sum(dim=1) / weights.sum(dim=1)


def average_predictions(logits: Tensor, mask: Tensor | None, aggregation: str) -> Tensor:
    """Logits (B, L) from those of every frame (B, T, L): softmax of the result is the mean of the probabilities.

    With `aggregation="logits"` it is the mean of the logits.
    """
    if aggregation == "logits":
        return average_frames(logits, mask)
    # In logarithms: a probability that float32 rounds to zero would make the loss infinite.
    logarithms = logits.log_softmax(dim=-1)
    if mask is None:
        return logarithms.logsumexp(dim=1) - math.log(logits.shape[1])
    num_frames = mask.sum(dim=1, keepdim=True).to(logits.dtype)
    return logarithms.masked_fill(~mask[..., None], -torch.inf).logsumexp(dim=1) - num_frames.log()


def check_mask_shape(pixel_values_videos: Tensor, frame_mask: Tensor) -> None:
    """Refuses a mask that does not have one value for each frame of videos (B, T, …) or views (B, V, T, …)."""
    expected = tuple(pixel_values_videos.shape[:-3])
    if tuple(frame_mask.shape) != expected:
        raise ValueError(f"frame_mask has shape {tuple(frame_mask.shape)}; for these videos it must be {expected}")


def make_head(config: LRCNConfig) -> nn.Sequential:
    shape: Shape = (config.state_size,)
    modules: list[nn.Module] = []
    for layer in config.head:
        modules += build(layer, shape)
        shape = shape_after([layer], shape)
    return nn.Sequential(*modules)


class LRCNPreTrainedModel(FramesPreTrainedModel):
    config: LRCNConfig
    base_model_prefix = "lrcn"


class LRCNModel(LRCNPreTrainedModel):
    """The trunk: (B, T, C, H, W) → last_hidden_state (B, T, D), one a frame; pooler_output (B, D), last or mean.

    Its stages are the encoder's, the recurrence, and the head where there is one. What the encoder's give has B·T rows.
    Frames whose `frame_mask` (B, T) is False change nothing.
    """

    def __init__(self, config: LRCNConfig) -> None:
        super().__init__(config)
        self.encoder = ImageEncoder(config)
        self.recurrence = Recurrence(config)
        self.head = make_head(config)
        self.post_init()

    def get_stages(self) -> list[nn.Module]:
        return [*self.encoder.get_stages(), self.recurrence, *([self.head] if len(self.head) else [])]

    @can_return_tuple
    def forward(
        self,
        pixel_values_videos: Tensor,
        output_hidden_states: bool | None = None,
        frame_mask: Tensor | None = None,
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        self.check_input(pixel_values_videos)
        mask = None if frame_mask is None else self.check_mask(pixel_values_videos, frame_mask)
        keep = self.keeps_hidden_states(output_hidden_states)
        features, hidden_states = self.encoder.encode(pixel_values_videos, keep)
        states = self.recurrence(features, mask)
        if self.config.readout == "average":
            of_head = self.head(states.flatten(0, 1))
            frames = of_head.unflatten(0, (-1, states.shape[1]))
            pooled = average_frames(frames, mask)
        else:
            frames, of_head = states, self.head(last_state(states, self.config.bidirectional))
            pooled = of_head
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=frames,
            pooler_output=pooled,
            hidden_states=(*hidden_states, states, *([of_head] if len(self.head) else [])) if keep else None,
        )

    def check_mask(self, pixel_values_videos: Tensor, frame_mask: Tensor) -> Tensor:
        """The mask as truth values; one of another shape, or of a video without a real frame, is refused."""
        check_mask_shape(pixel_values_videos, frame_mask)
        mask = frame_mask.bool()
        if not torch.compiler.is_compiling() and not mask.any(dim=1).all():
            raise ValueError("frame_mask is False for every frame of a video; each needs a real one")
        return mask


class LRCNForVideoClassification(LRCNPreTrainedModel, FramesForVideoClassification):
    trunk_class = LRCNModel

    @property
    def scores_pooled_features(self) -> bool:
        return self.config.readout == "last"

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
        flat, num_views = self.flatten_views(pixel_values_videos)
        mask = None
        if frame_mask is not None:
            check_mask_shape(pixel_values_videos, frame_mask)
            mask = frame_mask.bool().reshape(flat.shape[:2])
        outputs = self.base_model(flat, frame_mask=mask, output_hidden_states=output_hidden_states, return_dict=True)
        if self.config.readout == "average":
            logits = self.score(outputs.last_hidden_state)  # (B·V, T, L)
            logits = average_predictions(logits, mask, get_aggregation(self.config))
        else:
            logits = self.score(outputs.pooler_output)
        return self.conclude(logits, num_views, labels, outputs.hidden_states, num_items_in_batch)

    def step(
        self, frame: Tensor, state: StreamState | None = None
    ) -> tuple[ImageClassifierOutputWithNoAttention, StreamState]:
        """The logits (B, L) of the video up to and with this frame (B, C, H, W), and the state for the next one.

        They are those of the whole video so far: after the last frame, what the model gives for all of them.
        """
        if self.config.bidirectional:
            raise ValueError(
                "this LRCN is bidirectional: what it says of a frame depends on those to come, and it cannot be stepped"
            )
        self.check_input(frame[:, None])
        features = self.base_model.encoder(frame)
        hidden, layers = self.base_model.recurrence.step(features, None if state is None else state.layers)
        scores = self.score(self.base_model.head(hidden))
        is_averaged = self.config.readout == "average"
        is_softmax = is_averaged and get_aggregation(self.config) == "softmax"
        total = scores.log_softmax(dim=-1) if is_softmax else scores
        num_frames = 1
        if is_averaged and state is not None:
            total = torch.logaddexp(state.total, total) if is_softmax else state.total + total
            num_frames = state.num_frames + 1
        logits = total - math.log(num_frames) if is_softmax else total / num_frames
        return ImageClassifierOutputWithNoAttention(logits=logits), StreamState(layers, total, num_frames)
