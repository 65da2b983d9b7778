"""What every architecture for images has in common.

Shapes: B images, V views of each, C channels, H×W pixels, D features, L labels.
"""

from huggingface_hub.dataclasses import strict
from torch import Tensor
from transformers.modeling_outputs import ImageClassifierOutputWithNoAttention
from transformers.utils.generic import can_return_tuple

from muybridge.models.base import NetworkConfig, NetworkForClassification, NetworkPreTrainedModel


@strict
class ImageConfig(NetworkConfig):
    """The fields that every architecture for images has."""

    def input_shape(self) -> tuple[int, int, int]:
        return self.num_channels, self.image_size, self.image_size


class ImagePreTrainedModel(NetworkPreTrainedModel):
    config: ImageConfig
    main_input_name = "pixel_values"
    input_modalities = ("image",)
    input_axes = "images, {} channels, height, width"


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
        flat, num_views = self.flatten_views(pixel_values)
        outputs = self.base_model(flat, output_hidden_states=output_hidden_states, return_dict=True)
        return self.classify(outputs.pooler_output, num_views, labels, outputs.hidden_states, num_items_in_batch)
