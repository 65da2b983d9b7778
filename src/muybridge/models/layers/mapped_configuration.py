"""Config of networks that run at every place of an image larger than their own."""

from huggingface_hub.dataclasses import strict

from muybridge.models.image_base import ImageConfig
from muybridge.models.layers.presets import WithPresets


@strict
class MappedConfig(WithPresets, ImageConfig):
    """Knows the size of the map of features that an image becomes."""

    def compute_map_side(self, side: int) -> int:
        """The side of what the last stage gives for an image of this side; 0 where nothing is left of it."""
        raise NotImplementedError

    @property
    def grid(self) -> int:
        """The side of the map that the classifier, and what is fully connected before it, are made for."""
        return self.compute_map_side(self.image_size)

    @property
    def least_places(self) -> int:
        """The side of the smallest map that a forward pass works on."""
        return 1

    def find_smallest_side(self, places: int) -> int:
        """The side of the smallest image of which the last stage gives a map of `places`×`places`."""
        side = 1
        while self.compute_map_side(side) < places:
            side += 1
        return side

    def validate_input(self) -> None:
        if self.compute_map_side(self.image_size) < 1:
            raise ValueError(
                f"an image of {self.image_size}×{self.image_size} vanishes in this network's stages; use image_size "
                f"≥ {self.find_smallest_side(1)}, or smaller strides"
            )


def compute_pooled_side(side: int, size: int, stride: int, *, is_ceiled: bool) -> int:
    """The side of a pooled map; with `is_ceiled` the last window may reach over the edge, but not begin there."""
    rest = side - size
    if not is_ceiled:
        return rest // stride + 1
    steps = -(-rest // stride)
    return steps if steps * stride >= side else steps + 1
