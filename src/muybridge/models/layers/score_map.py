"""Classifiers that run at every place of an image larger than their own.

Shapes: B images, C channels, H×W pixels, h×w places, D features, L labels.
"""

from torch import Tensor

from muybridge.models.image_base import ImageForClassification, ImagePreTrainedModel
from muybridge.models.layers.mapped_configuration import MappedConfig


class MappedTrunk(ImagePreTrainedModel):
    """A trunk whose features exist at every place where a window of its own input's size fits."""

    config: MappedConfig
    has_score_maps = True

    def __init__(self, config: MappedConfig) -> None:
        super().__init__(config)
        # Reckoned once, as torch.compile would follow every step of it.
        self.grid = config.grid
        self.smallest_side = config.find_smallest_side(config.least_places)
        self.smallest_side_of_map = config.find_smallest_side(config.grid)

    def check_side(self, pixel_values: Tensor, smallest: int) -> None:
        """Refuses images with a side below `smallest`."""
        self.check_inputs(pixel_values=pixel_values)
        height, width = pixel_values.shape[-2:]
        if min(height, width) < smallest:
            raise ValueError(
                f"the images are {height}×{width}; this {type(self).__name__} takes {smallest}×{smallest} or larger"
            )

    def get_feature_map(self, pixel_values: Tensor) -> Tensor:
        """Features (B, h, w, D) of images (B, C, H, W) at the places of the map."""
        raise NotImplementedError


class MappedForImageClassification(ImageForClassification):
    """A classifier on a `MappedTrunk`."""

    def get_score_map(self, pixel_values: Tensor) -> Tensor:
        """Scores (B, L, h, w) of images (B, C, H, W): as if the classifier were slid over them.

        At the size of the config there is one place, and its scores are the logits.
        """
        features = self.base_model.get_feature_map(pixel_values)
        return self.head.score(features).permute(0, 3, 1, 2)
