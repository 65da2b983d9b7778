"""Config of I3D."""

from typing import Any, ClassVar, Literal

from huggingface_hub.dataclasses import strict

from muybridge.models.base import Numbers
from muybridge.models.googlenet.configuration_googlenet import INCEPTION_SIZES
from muybridge.models.i3d.padding import Padding, Triple, compute_convolved_size, compute_pooled_size
from muybridge.models.inputs import Shape
from muybridge.models.video_base import VideoConfig

# The poolings before the blocks 2b, 3b, 4b and 5b: kernel and stride, of frames and of pixels.
POOLINGS = (((1, 3), (1, 2)), ((1, 3), (1, 2)), ((3, 3), (2, 2)), ((2, 2), (2, 2)))

# The last average takes so many positions in time together.
POOLED_FRAMES = 2


@strict
class I3DConfig(VideoConfig):
    """I3D on frames, or with `modality="flow"` on optical flow, which has 2 channels. The defaults are the published
    network.

    `hidden_sizes` are the channels of the three convolutions before the mixed blocks, `mixed_sizes` six numbers for
    each of the nine blocks, 3b to 5c: those of its branches' convolutions b0, b1a, b1b, b2a, b2b and b3b.
    `width_multiplier` multiplies them all. `padding` is "same", as TensorFlow has it, or "symmetric", as image
    networks have it that were inflated.
    """

    model_type: ClassVar[str] = "i3d"

    modality: Literal["rgb", "flow"] = "rgb"
    num_frames: int = 64
    image_size: int = 224
    num_channels: int | None = None  # type: ignore[assignment]  # the modality tells where it is not stated
    hidden_sizes: Numbers = (64, 64, 192)
    mixed_sizes: list[Numbers] | tuple[Numbers, ...] = INCEPTION_SIZES
    width_multiplier: float = 1.0
    padding: Padding = "same"
    batch_norm_eps: float = 1e-3

    def __post_init__(self, **kwargs: Any) -> None:
        if self.num_channels is None:
            self.num_channels = 2 if self.modality == "flow" else 3
        super().__post_init__(**kwargs)

    def default_head(self) -> dict[str, Any]:
        return {"name": "linear", "dropout": 0.5}

    def input_shapes(self) -> dict[str, Shape]:
        (shape,) = super().input_shapes().values()
        return {"flow_values" if self.modality == "flow" else "pixel_values_videos": shape}

    def scale_channels(self, size: int) -> int:
        """A number of channels, multiplied."""
        return max(1, round(size * self.width_multiplier))

    def get_mixed_channels(self, index: int) -> tuple[int, ...]:
        """The channels of the convolutions in a mixed block."""
        return tuple(map(self.scale_channels, self.mixed_sizes[index]))

    def count_mixed_output(self, index: int) -> int:
        """The channels that a mixed block gives."""
        b0, _, b1b, _, b2b, b3b = self.get_mixed_channels(index)
        return b0 + b1b + b2b + b3b

    def default_hidden_size(self) -> int:
        return self.count_mixed_output(len(self.mixed_sizes) - 1)

    def validate_modality(self) -> None:
        if self.modality == "flow" and self.num_channels != 2:
            raise ValueError(f"num_channels is {self.num_channels}; optical flow has 2, to the right and down")

    def validate_width(self) -> None:
        if not self.width_multiplier > 0:
            raise ValueError(f"width_multiplier is {self.width_multiplier}; it must be positive")
        if len(self.hidden_sizes) != 3 or min(self.hidden_sizes) < 1:
            raise ValueError(f"hidden_sizes is {self.hidden_sizes}; it must be three numbers, each 1 or more")
        rows = [tuple(row) for row in self.mixed_sizes]
        if len(rows) != len(INCEPTION_SIZES) or any(len(row) != 6 or min(row) < 1 for row in rows):
            raise ValueError(f"mixed_sizes is {rows}; it must be nine rows of six numbers, each 1 or more")

    def validate_input(self) -> None:
        self.check_size(self.num_frames, self.image_size, self.image_size)

    def check_size(self, frames: int, height: int, width: int) -> None:
        """Refuses videos of which nothing is left for the last average."""
        fewest, smallest = self.find_minimum_input()
        if frames < fewest or min(height, width) < smallest:
            raise ValueError(
                f"{frames} frames of {height}×{width} are too few or too small for this I3D; it takes {fewest} frames "
                f"of {smallest}×{smallest} or more"
            )

    def find_minimum_input(self) -> tuple[int, int]:
        """The fewest frames, and the smallest height and width."""
        frames, side = 1, 1
        while self.compute_grid(frames, side, side)[0] < POOLED_FRAMES:
            frames += 1
        while self.compute_grid(frames, side, side)[1] < 1:
            side += 1
        return frames, side

    def compute_grid(self, frames: int, height: int, width: int) -> Triple:
        """The positions in time and space of what the last block gives."""
        return self.count_positions(frames, 0), self.count_positions(height, 1), self.count_positions(width, 1)

    def count_positions(self, size: int, axis: int) -> int:
        size = compute_convolved_size(size, 7, 2, self.padding)
        for kernels, strides in POOLINGS:
            size = compute_pooled_size(size, kernels[axis], strides[axis], self.padding)
        return size
