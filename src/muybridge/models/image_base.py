"""What every architecture for images has in common.

Shapes: B images, V views of each, C channels, H×W pixels, L labels.
"""

from huggingface_hub.dataclasses import strict
from torch import Tensor
from transformers.modeling_outputs import ImageClassifierOutputWithNoAttention
from transformers.utils.generic import can_return_tuple

from muybridge.models.base import NetworkForClassification, NetworkPreTrainedModel, PixelConfig
from muybridge.models.inputs import Shape


@strict
class ImageConfig(PixelConfig):
    """The fields that every architecture for images has."""

    def input_shapes(self) -> dict[str, Shape]:
        return {"pixel_values": (self.num_channels, self.image_size, self.image_size)}


class ImagePreTrainedModel(NetworkPreTrainedModel):
    config: ImageConfig
    main_input_name = "pixel_values"
    input_modalities = ("image",)


class ImageForClassification(ImagePreTrainedModel, NetworkForClassification):
    @can_return_tuple
    def forward(
        self,
        pixel_values: Tensor,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        num_items_in_batch: Tensor | int | None = None,
    ) -> ImageClassifierOutputWithNoAttention:
        """Logits (B, L) of images (B, C, H, W), or of views (B, V, C, H, W), whose probabilities are averaged.

        `num_items_in_batch` is how many images the Trainer accumulates gradients over.
        """
        return self.classify({"pixel_values": pixel_values}, labels, output_hidden_states, num_items_in_batch)
