"""Config of C3D."""

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict

from muybridge.models.base import Numbers, find_dropout
from muybridge.models.video_base import VideoConfig


@strict
class C3DConfig(VideoConfig):
    """C3D; the defaults are the published network. `hidden_sizes` and `depths` name one value a stage.

    `has_batch_norm` puts a batch norm after every convolution. `is_last_pooling_padded` says whether the last pooling
    has a margin of one pixel, as in the published network. `fully_connected_dropout` is that between fc6 and fc7; where
    it is not stated it is the head's.
    """

    model_type: ClassVar[str] = "c3d"

    depths: Numbers = (1, 1, 2, 2, 2)
    hidden_sizes: Numbers = (64, 128, 256, 512, 512)
    fully_connected_size: int = 4096
    has_batch_norm: bool = False
    is_last_pooling_padded: bool = True
    fully_connected_dropout: float | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.fully_connected_dropout is None:
            self.fully_connected_dropout = find_dropout(self)

    def default_hidden_size(self) -> int:
        return self.fully_connected_size

    def default_head(self) -> dict[str, Any]:
        return {"name": "linear", "dropout": 0.5}

    def validate_stages(self) -> None:
        if len(self.depths) != len(self.hidden_sizes) or len(self.depths) < 2:
            raise ValueError(
                f"depths {self.depths} and hidden_sizes {self.hidden_sizes} must name one value a stage, "
                "for two stages or more"
            )

    def validate_input(self) -> None:
        halvings = len(self.depths) - 1
        smallest = 2**halvings if self.is_last_pooling_padded else 2 ** (halvings + 1)
        if self.num_frames < 2**halvings or self.image_size < smallest:
            raise ValueError(
                f"{self.num_frames} frames of {self.image_size}×{self.image_size} vanish in {len(self.depths)} "
                f"poolings; use num_frames ≥ {2**halvings} and image_size ≥ {smallest}"
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Frames and side of what the last pooling gives: the fully connected layers are made for it."""
        halvings = len(self.depths) - 1
        side = self.image_size // 2**halvings
        margin = 1 if self.is_last_pooling_padded else 0
        return self.num_frames // 2**halvings, (side + 2 * margin) // 2
