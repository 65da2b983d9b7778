"""Config of the networks that fuse the frames of a clip early, late, slowly or not at all."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from huggingface_hub.dataclasses import strict

from muybridge.models.base import Numbers, find_dropout
from muybridge.models.layers.presets import WithPresets
from muybridge.models.video_base import VideoConfig

# How far, and how densely, a convolution reaches in time: its frames and its stride.
Reach = tuple[int, int]

FUSIONS: dict[str, dict[str, Any]] = {
    "single_frame": {"fusion": "single", "num_frames": 1},
    "early": {"fusion": "early", "num_frames": 10},
    "late": {"fusion": "late", "num_frames": 16},
    "slow": {"fusion": "slow", "num_frames": 10},
}
MULTIRESOLUTION = {"streams": "both", "image_size": 178}


@strict
class FusionCNNConfig(WithPresets, VideoConfig):
    """A fusion network of any width; the defaults are the published one with slow fusion, the others are presets.

    `fusion` says which layers see time. "single": none, of one frame. "early": the first convolution, all `num_frames`
    at once. "late": the first fully connected layer, the first and the last of `num_frames` (the paper's lie 15
    apart: 16 frames). "slow": the first convolutions, each `fusion_frames` at a stride of `fusion_strides`, until one
    frame is left.

    `streams` says what is seen of each frame. "full": all of it. "context": all of it at half the size. "fovea": the
    middle at full size. "both": context and fovea through convolutions of their own.

    `hidden_sizes` and `kernel_sizes` name one value a convolution. The first two, and the last of "full", are followed
    by a pooling. The first two have local response norms, unless `has_batch_norm` puts a batch norm after every one.
    `fully_connected_dropout` is that between fc6 and fc7; where it is not stated it is the head's.
    """

    model_type: ClassVar[str] = "fusion_cnn"
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        **FUSIONS,
        **{f"{name}_multiresolution": fields | MULTIRESOLUTION for name, fields in FUSIONS.items()},
    }

    fusion: Literal["single", "early", "late", "slow"] = "slow"
    streams: Literal["full", "context", "fovea", "both"] = "full"
    num_frames: int = 10
    image_size: int = 170
    hidden_sizes: Numbers = (96, 256, 384, 384, 256)
    kernel_sizes: Numbers = (11, 5, 3, 3, 3)
    stem_stride: int = 3
    has_batch_norm: bool = False
    fusion_frames: Numbers = (4, 2, 2)
    fusion_strides: Numbers = (2, 2, 2)
    fully_connected_size: int = 4096
    fully_connected_dropout: float | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.fully_connected_dropout is None:
            self.fully_connected_dropout = find_dropout(self)

    def default_hidden_size(self) -> int:
        return self.fully_connected_size

    def default_head(self) -> dict[str, Any]:
        return {"name": "linear", "dropout": 0.5}

    @property
    def stream_names(self) -> tuple[str, ...]:
        return ("context", "fovea") if self.streams == "both" else (self.streams,)

    @property
    def reaches(self) -> list[Reach]:
        """The convolutions that see time, from the first one on; those after them see single frames."""
        if self.fusion == "early":
            return [(self.num_frames, 1)]
        return list(zip(self.fusion_frames, self.fusion_strides, strict=True)) if self.fusion == "slow" else []

    @property
    def num_fused(self) -> int:
        """How many frames the first fully connected layer puts together."""
        return 2 if self.fusion == "late" else 1

    @property
    def is_last_pooled(self) -> bool:
        """Streams of half the size go without the last pooling, and so end as large as the full one."""
        return self.streams == "full"

    @property
    def stream_size(self) -> int:
        return self.image_size if self.streams == "full" else self.image_size // 2

    @property
    def grid_size(self) -> int:
        """The side of what the last layer before the fully connected ones gives. Convolutions pad as they reach."""
        side = (self.stream_size - 1) // self.stem_stride + 1
        return side // (8 if self.is_last_pooled else 4)

    def validate_convolutions(self) -> None:
        if len(self.hidden_sizes) != len(self.kernel_sizes) or len(self.hidden_sizes) < 3:
            raise ValueError(
                f"hidden_sizes {self.hidden_sizes} and kernel_sizes {self.kernel_sizes} must name one value a "
                "convolution, for three or more"
            )
        if min(*self.hidden_sizes, self.stem_stride, self.fully_connected_size) < 1:
            raise ValueError(
                f"hidden_sizes {self.hidden_sizes}, stem_stride {self.stem_stride} and fully_connected_size "
                f"{self.fully_connected_size} must all be 1 or more"
            )
        if any(size < 1 or size % 2 == 0 for size in self.kernel_sizes):
            raise ValueError(f"kernel_sizes is {self.kernel_sizes}; each must be odd, to be padded evenly")

    def validate_fusion(self) -> None:
        if len(self.fusion_frames) != len(self.fusion_strides) or len(self.fusion_frames) > len(self.hidden_sizes):
            raise ValueError(
                f"fusion_frames {self.fusion_frames} and fusion_strides {self.fusion_strides} must name one value for "
                f"each of the first convolutions, of which there are {len(self.hidden_sizes)}"
            )
        if min(*self.fusion_frames, *self.fusion_strides, 1) < 1:
            raise ValueError(
                f"fusion_frames {self.fusion_frames} and fusion_strides {self.fusion_strides} must all be 1 or more"
            )

    def validate_num_frames(self) -> None:
        if self.fusion in ("early", "late") and self.num_frames < 2:
            raise ValueError(f"num_frames is {self.num_frames}; {self.fusion} fusion takes 2 or more")
        needed = {"single": 1, "slow": count_frames_seen(self.reaches)}.get(self.fusion, self.num_frames)
        if self.num_frames != needed:
            reason = f", by fusion_frames {self.fusion_frames} at fusion_strides {self.fusion_strides}"
            raise ValueError(
                f"num_frames is {self.num_frames}; a network of {self.fusion} fusion takes {needed}"
                f"{reason if self.fusion == 'slow' else ''}"
            )

    def validate_image(self) -> None:
        if self.streams != "full" and self.image_size % 2:
            raise ValueError(f"image_size is {self.image_size}; streams={self.streams!r} halves it: it must be even")
        if self.grid_size < 1:
            raise ValueError(
                f"images of {self.image_size}×{self.image_size} vanish in the network's poolings; use image_size ≥ "
                f"{self.smallest_image_size}"
            )

    @property
    def smallest_image_size(self) -> int:
        if self.streams == "full":
            return 7 * self.stem_stride + 1
        return 2 * (3 * self.stem_stride + 1)


def count_frames_seen(reaches: list[Reach]) -> int:
    """How many frames convolutions without padding make one of."""
    frames = 1
    for kernel, stride in reversed(reaches):
        frames = (frames - 1) * stride + kernel
    return frames
