"""Config of GoogLeNet."""

from collections.abc import Mapping
from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict

from muybridge.models.base import Numbers
from muybridge.models.layers.local_response_norm import Neighbours
from muybridge.models.layers.mapped_configuration import MappedConfig, compute_pooled_side

# Of each inception module: 1×1; 1×1 and 3×3; 1×1 and 5×5; 1×1 after pooling.
INCEPTION_SIZES = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)


@strict
class GoogLeNetConfig(MappedConfig):
    """GoogLeNet, or Inception-v1; the defaults are torchvision's, with batch norm.

    `stem_sizes` are the channels of the three convolutions before the modules, `inception_sizes` the six numbers of
    each module, and `depths` says how many modules stand in stages 3, 4 and 5. `large_kernel_size` is that of the
    third branch: 5 in the paper, 3 in torchvision. `last_pooling_size` is that of the pooling before stage 5.
    Without `has_batch_norm` the two poolings of the stem have a local response normalisation beside them (`norm_…`).

    In training, its head has helpers after the first and the fourth module of stage 4 (`AuxiliaryHead`); with the head
    {"name": "linear"} it has none.

    `transform_input` is for weights that were trained on pixels in [-1, 1], like torchvision's: the images come
    normalised by ImageNet's mean and deviation, and the network turns them into those.

    Presets: "batch_norm", "2014".
    """

    model_type: ClassVar[str] = "googlenet"

    stem_sizes: Numbers = (64, 64, 192)
    inception_sizes: list[Numbers] | tuple[Numbers, ...] = INCEPTION_SIZES
    depths: Numbers = (2, 5, 2)
    large_kernel_size: int = 3
    last_pooling_size: int = 2
    has_batch_norm: bool = True
    batch_norm_eps: float = 1e-3
    norm_size: int = 5
    norm_alpha: float = 1e-4
    norm_beta: float = 0.75
    norm_k: float = 1.0
    norm_neighbours: Neighbours = "mean"
    transform_input: bool = False

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "batch_norm": {},
        "2014": {
            "has_batch_norm": False,
            "large_kernel_size": 5,
            "last_pooling_size": 3,
            "head": {"pooling": "windows", "dropout": 0.4},
        },
    }

    def default_hidden_size(self) -> int:
        self.validate_modules()
        return self.inception_channels[-1]

    def default_head(self) -> dict[str, Any]:
        names = [name for stage in self.inception_names for name in stage]
        channels = dict(zip(names, self.inception_channels, strict=True))
        return {
            "name": "auxiliary",
            "dropout": 0.2,
            "branches": {name: channels[name] for name in self.auxiliary_names},
            "side": self.compute_auxiliary_side(),
            "has_batch_norm": self.has_batch_norm,
            "batch_norm_eps": self.batch_norm_eps,
        }

    @property
    def inception_channels(self) -> list[int]:
        """The channels that each inception module gives."""
        return [one + three + five + pooled for one, _, three, _, five, pooled in self.inception_sizes]

    @property
    def inception_names(self) -> list[list[str]]:
        """The names of the modules of stages 3, 4 and 5: 3a, 3b …"""
        return [
            [f"inception{stage}{chr(ord('a') + place)}" for place in range(depth)]
            for stage, depth in enumerate(self.depths, start=3)
        ]

    @property
    def auxiliary_names(self) -> list[str]:
        """The modules behind which the head's helpers stand: the first of stage 4, and the last but one."""
        names = self.inception_names[1]
        return [names[0], names[-2]]

    def compute_stem_side(self, side: int) -> int:
        """The side of the map that the first inception module takes."""
        side = (side + 1) // 2  # the first convolution
        for _ in range(2):
            side = compute_pooled_side(side, 3, 2, is_ceiled=True)
        return side

    def compute_auxiliary_side(self) -> int:
        """The side of the map that the head's helpers take."""
        return compute_pooled_side(self.compute_stem_side(self.image_size), 3, 2, is_ceiled=True)

    def compute_map_side(self, side: int) -> int:
        side = compute_pooled_side(self.compute_stem_side(side), 3, 2, is_ceiled=True)
        return max(0, compute_pooled_side(side, self.last_pooling_size, 2, is_ceiled=True))

    def validate_modules(self) -> None:
        if len(self.stem_sizes) != 3:
            raise ValueError(f"stem_sizes is {self.stem_sizes}; it must be three numbers")
        if len(self.depths) != 3 or self.depths[1] < 3 or min(self.depths) < 1:
            raise ValueError(f"depths is {self.depths}; it must be three numbers, the second 3 or more")
        if sum(self.depths) != len(self.inception_sizes) or any(len(sizes) != 6 for sizes in self.inception_sizes):
            raise ValueError(
                f"inception_sizes must be six numbers for each of {sum(self.depths)} modules; it is "
                f"{self.inception_sizes}"
            )

    def validate_kernels(self) -> None:
        if self.large_kernel_size % 2 == 0:
            raise ValueError(f"large_kernel_size is {self.large_kernel_size}; a centred kernel has an odd one")

    def validate_transform(self) -> None:
        if self.transform_input and self.num_channels != 3:
            raise ValueError(f"transform_input is for 3 channels; num_channels is {self.num_channels}")
