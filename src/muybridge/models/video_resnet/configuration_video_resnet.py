"""Config of the residual networks on clips: R3D, MC3, R(2+1)D."""

from typing import ClassVar, Literal

from huggingface_hub.dataclasses import strict

from muybridge.models.base import Numbers
from muybridge.models.video_base import VideoConfig

ConvolutionName = Literal["3d", "2d", "2plus1d"]


@strict
class VideoResNetConfig(VideoConfig):
    """R3D, MC3 or R(2+1)D of any depth; the defaults make R3D-18.

    `convolutions` names the convolution of each stage: "3d" (k×k×k), "2d" (1×k×k, which leaves time alone) or
    "2plus1d" (1×k×k, then k×1×1 over `mid` channels). `mid_channels` says whose channels set `mid`: those of each
    "convolution", as in the paper, or those of the whole "block", as in torchvision.
    `stem_frames`, `stem_mid_channels` and `is_stem_pooled` tell the stems in the wild apart. `shortcut` is what
    stands beside a block that changes the shape: a 1×1×1 "projection", or "padding" with zero channels.
    """

    model_type: ClassVar[str] = "video_resnet"

    depths: Numbers = (2, 2, 2, 2)
    hidden_sizes: Numbers = (64, 128, 256, 512)
    block: Literal["basic", "bottleneck"] = "basic"
    convolutions: list[ConvolutionName] | tuple[ConvolutionName, ...] = ("3d", "3d", "3d", "3d")
    mid_channels: Literal["block", "convolution"] = "convolution"
    stem_convolution: Literal["3d", "2plus1d"] = "3d"
    stem_frames: int = 3
    stem_mid_channels: int = 45
    is_stem_pooled: bool = False
    shortcut: Literal["projection", "padding"] = "projection"

    @property
    def expansion(self) -> int:
        """How many times wider a block's output is than its inner convolutions."""
        return 4 if self.block == "bottleneck" else 1

    def default_hidden_size(self) -> int:
        return self.hidden_sizes[-1] * self.expansion

    def validate_stages(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in ("depths", "hidden_sizes", "convolutions")}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"depths, hidden_sizes and convolutions name one value a stage each, but have {lengths}")
        if min(*self.depths, *self.hidden_sizes) < 1:
            raise ValueError(f"depths {self.depths} and hidden_sizes {self.hidden_sizes} must all be 1 or more")
        if self.stem_frames % 2 == 0:
            raise ValueError(f"stem_frames is {self.stem_frames}; a centred kernel needs an odd number of frames")
