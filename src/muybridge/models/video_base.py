"""What every architecture for videos has in common.

Shapes: B videos, V views of each, T frames, C channels, H×W pixels, L labels.
"""

from typing import Any

from huggingface_hub.dataclasses import strict
from torch import Tensor
from transformers.modeling_outputs import ImageClassifierOutputWithNoAttention
from transformers.utils.generic import can_return_tuple

from muybridge.models.base import NetworkForClassification, NetworkPreTrainedModel, PixelConfig
from muybridge.models.inputs import Shape
from muybridge.models.registry import get_architecture
from muybridge.processing import VideoProcessor
from muybridge.types import Protocol


@strict
class VideoConfig(PixelConfig):
    """The fields that every architecture for videos has.

    `protocol` holds the fields of `Protocol`: how the number on the model card was measured, and how logits of several
    views are averaged.
    """

    num_frames: int = 16
    image_size: int = 112
    protocol: dict[str, Any] | None = None

    def input_shapes(self) -> dict[str, Shape]:
        return {"pixel_values_videos": (self.num_frames, self.num_channels, self.image_size, self.image_size)}

    def validate_num_frames(self) -> None:
        if self.num_frames < 1:
            raise ValueError(f"num_frames is {self.num_frames}; it must be 1 or more")

    def validate_protocol(self) -> None:
        self.get_protocol()

    def get_protocol(self) -> Protocol:
        return Protocol(**(self.protocol or {}))


class VideoPreTrainedModel(NetworkPreTrainedModel):
    config: VideoConfig
    main_input_name = "pixel_values_videos"
    input_modalities = ("video",)


# The arguments that say what becomes of a pixel's value, in image processors of transformers and in ours.
PIXEL_ARGUMENTS = (
    "channel_order", "do_normalize", "do_rescale", "image_mean", "image_std", "resample", "rescale_factor",
)  # fmt: skip


class VideoForClassification(VideoPreTrainedModel, NetworkForClassification):
    def make_processor(self, image_processor: Any = None, **fields: Any) -> VideoProcessor:
        """A processor that gives what this network takes, to be saved beside it.

        `image_processor` is that of the image network which this one was made of: pixels become what it makes of them.
        `fields` are the processor's arguments that are to be others.
        """
        given = {name: getattr(image_processor, name, None) for name in PIXEL_ARGUMENTS}
        numbers = {name: value for name, value in given.items() if value is not None}
        processor_class = self.get_processor_class()
        sizes = processor_class.size_fields(self.config.image_size)
        return processor_class(**{"num_frames": self.config.num_frames, **sizes, **numbers, **fields})

    def get_processor_class(self) -> Any:
        """The class of the processor that gives what this network takes."""
        return get_architecture(self.config.model_type).processor

    @can_return_tuple
    def forward(
        self,
        pixel_values_videos: Tensor,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        num_items_in_batch: Tensor | int | None = None,
    ) -> ImageClassifierOutputWithNoAttention:
        """Logits (B, L) of videos (B, T, C, H, W), or of views (B, V, T, C, H, W) averaged as the protocol says.

        `num_items_in_batch` is how many clips the Trainer accumulates gradients over.
        """
        inputs = {"pixel_values_videos": pixel_values_videos}
        return self.classify(inputs, labels, output_hidden_states, num_items_in_batch)
