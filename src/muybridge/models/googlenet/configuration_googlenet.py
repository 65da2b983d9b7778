"""Config of GoogLeNet."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from huggingface_hub.dataclasses import strict

from muybridge.models.base import Numbers
from muybridge.models.layers.local_response_norm import Neighbours
from muybridge.models.layers.mapped_configuration import MappedConfig, pooled_side

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

    In training, heads after the first and the fourth module of stage 4 classify too, where `has_auxiliary_heads`:
    their losses count `auxiliary_loss_weight` times. They average their input over a 4×4 grid of an "adaptive" size,
    or over windows of 5×5 places, 3 apart ("windows").

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
    has_auxiliary_heads: bool = True
    auxiliary_loss_weight: float = 0.3
    auxiliary_pooling: Literal["adaptive", "windows"] = "adaptive"
    auxiliary_sizes: Numbers = (128, 1024)
    auxiliary_dropout: float = 0.7
    transform_input: bool = False
    classifier_dropout: float = 0.2

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "batch_norm": {},
        "2014": {
            "has_batch_norm": False,
            "large_kernel_size": 5,
            "last_pooling_size": 3,
            "auxiliary_pooling": "windows",
            "classifier_dropout": 0.4,
        },
    }

    def default_hidden_size(self) -> int:
        self.validate_modules()
        return self.inception_channels[-1]

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
        """The modules behind which the auxiliary heads stand: the first of stage 4, and the last but one."""
        names = self.inception_names[1]
        return [names[0], names[-2]]

    def stem_side(self, side: int) -> int:
        """The side of the map that the first inception module takes."""
        side = (side + 1) // 2  # the first convolution
        for _ in range(2):
            side = pooled_side(side, 3, 2, is_ceiled=True)
        return side

    def auxiliary_side(self) -> int:
        """The side of the map that the auxiliary heads take."""
        return pooled_side(self.stem_side(self.image_size), 3, 2, is_ceiled=True)

    def map_side(self, side: int) -> int:
        side = pooled_side(self.stem_side(side), 3, 2, is_ceiled=True)
        return max(0, pooled_side(side, self.last_pooling_size, 2, is_ceiled=True))

    def validate_modules(self) -> None:
        if len(self.stem_sizes) != 3 or len(self.auxiliary_sizes) != 2:
            raise ValueError(
                f"stem_sizes {self.stem_sizes} and auxiliary_sizes {self.auxiliary_sizes} must be three numbers and two"
            )
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

    def validate_auxiliary_heads(self) -> None:
        if self.has_auxiliary_heads and self.auxiliary_pooling == "windows" and self.auxiliary_side() < 5:
            raise ValueError(
                f"auxiliary heads average windows of 5×5 places, but images of {self.image_size}×{self.image_size} "
                f'leave a map of {self.auxiliary_side()}×{self.auxiliary_side()}; use auxiliary_pooling="adaptive"'
            )

    def validate_transform(self) -> None:
        if self.transform_input and self.num_channels != 3:
            raise ValueError(f"transform_input is for 3 channels; num_channels is {self.num_channels}")
