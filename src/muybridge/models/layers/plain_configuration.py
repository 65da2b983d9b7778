"""Config of plain networks: stages of convolutions one after the other, then fully connected layers."""

from typing import Any

from huggingface_hub.dataclasses import strict

from muybridge.models.base import Numbers
from muybridge.models.layers.local_response_norm import Neighbours
from muybridge.models.layers.mapped_configuration import MappedConfig, compute_pooled_side


@strict
class PlainConfig(MappedConfig):
    """Several networks of 2012 to 2014 are this, with numbers of their own.

    `depths`, `hidden_sizes`, `kernel_sizes`, `strides`, `paddings` and `groups` name one value a stage: how many
    convolutions it has, and what these are like. `normalized_stages` and `pooled_stages` are the numbers, from 1, of
    those with a local response normalisation (`norm_…`) and a max pooling; `is_normalized_first` says which comes
    first, and `is_pooling_ceiled` whether the last window may reach over the edge, as in Caffe. `has_batch_norm` puts
    a batch norm after every convolution. `norm_neighbours` says what `norm_alpha` weighs: the "sum" over the
    neighbouring channels, or their "mean".

    `fully_connected_dropouts` has one rate for the input of each fully connected layer. `pooled_size` is the side of
    the grid that the last stage is averaged to, whatever the image's size, as torchvision has it; without it the fully
    connected layers run at every place of a larger image, and their mean counts.
    """

    depths: Numbers = (1, 1, 1, 1, 1)
    hidden_sizes: Numbers = (96, 256, 384, 384, 256)
    kernel_sizes: Numbers = (11, 5, 3, 3, 3)
    strides: Numbers = (4, 1, 1, 1, 1)
    paddings: Numbers = (0, 2, 1, 1, 1)
    groups: Numbers = (1, 1, 1, 1, 1)
    has_batch_norm: bool = False
    normalized_stages: Numbers = ()
    is_normalized_first: bool = True
    norm_size: int = 5
    norm_alpha: float = 1e-4
    norm_beta: float = 0.75
    norm_k: float = 2.0
    norm_neighbours: Neighbours = "sum"
    pooled_stages: Numbers = (1, 2, 5)
    pooling_size: int = 3
    pooling_stride: int = 2
    is_pooling_ceiled: bool = False
    pooled_size: int | None = None
    fully_connected_sizes: Numbers = (4096, 4096)
    fully_connected_dropouts: list[float] | tuple[float, ...] = (0.0, 0.5)

    def default_hidden_size(self) -> int:
        self.validate_fully_connected()
        return self.fully_connected_sizes[-1]

    def default_head(self) -> dict[str, Any]:
        return {"name": "linear", "dropout": 0.5}

    def validate_stages(self) -> None:
        names = ("depths", "hidden_sizes", "kernel_sizes", "strides", "paddings", "groups")
        lengths = {name: len(getattr(self, name)) for name in names}
        if len(set(lengths.values())) != 1 or not self.depths:
            raise ValueError(f"{', '.join(names)} name one value a stage each, but have {lengths}")
        for name in names:
            least = 0 if name == "paddings" else 1
            if min(getattr(self, name)) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; every one must be {least} or more")
        for name in ("normalized_stages", "pooled_stages"):
            if not set(getattr(self, name)) <= set(range(1, len(self.depths) + 1)):
                raise ValueError(f"{name} is {getattr(self, name)}; there are the stages 1 to {len(self.depths)}")

    def validate_fully_connected(self) -> None:
        if not self.fully_connected_sizes or len(self.fully_connected_sizes) != len(self.fully_connected_dropouts):
            raise ValueError(
                f"fully_connected_sizes {self.fully_connected_sizes} and fully_connected_dropouts "
                f"{self.fully_connected_dropouts} must name one value a layer, for one layer or more"
            )

    def validate_input(self) -> None:
        self.validate_stages()  # what the size of the map is reckoned from
        super().validate_input()

    @property
    def grid(self) -> int:
        return self.pooled_size or super().grid

    @property
    def least_places(self) -> int:
        return 1 if self.pooled_size else self.grid

    def compute_map_side(self, side: int) -> int:
        for index, depth in enumerate(self.depths):
            for _ in range(depth):
                side = (side + 2 * self.paddings[index] - self.kernel_sizes[index]) // self.strides[index] + 1
            if index + 1 in self.pooled_stages:
                side = compute_pooled_side(
                    side, self.pooling_size, self.pooling_stride, is_ceiled=self.is_pooling_ceiled
                )
            if side < 1:
                return 0
        return side
