"""Config of C3D."""

from typing import ClassVar

from huggingface_hub.dataclasses import strict

from muybridge.models.base import Numbers
from muybridge.models.video_base import VideoConfig


@strict
class C3DConfig(VideoConfig):
    """C3D; the defaults are the published network. `hidden_sizes` and `depths` name one value a stage."""

    model_type: ClassVar[str] = "c3d"

    depths: Numbers = (1, 1, 2, 2, 2)
    hidden_sizes: Numbers = (64, 128, 256, 512, 512)
    fully_connected_size: int = 4096
    classifier_dropout: float = 0.5

    def default_hidden_size(self) -> int:
        return self.fully_connected_size

    def validate_stages(self) -> None:
        if len(self.depths) != len(self.hidden_sizes) or len(self.depths) < 2:
            raise ValueError(
                f"depths {self.depths} and hidden_sizes {self.hidden_sizes} must name one value a stage, "
                "for two stages or more"
            )

    def validate_input(self) -> None:
        if min(self.grid) < 1:
            raise ValueError(
                f"{self.num_frames} frames of {self.image_size}×{self.image_size} vanish in {len(self.depths)} "
                f"poolings; use num_frames ≥ {2 ** (len(self.depths) - 1)} and image_size ≥ {2 ** len(self.depths) - 1}"
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Frames and side of what the last pooling gives: the fully connected layers are made for it."""
        halvings = len(self.depths) - 1
        side = self.image_size // 2**halvings
        return self.num_frames // 2**halvings, side // 2 + 1
