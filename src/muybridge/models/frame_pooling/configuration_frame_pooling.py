"""Config of networks that fuse what an image encoder says of single frames."""

from typing import ClassVar, Literal

from huggingface_hub.dataclasses import strict

from muybridge.models.image_encoder import FramesConfig

Fusion = Literal["mean", "max", "sum", "attention", "network"]


@strict
class FramePoolingConfig(FramesConfig):
    """An image encoder on every frame, and one of five ways to make one vector of the frames' features.

    "mean", "max" and "sum" go by feature. "attention" is a mean with weights, a softmax over the frames of a learned
    score. All four see a set of frames, of any number, and are blind to their order. "network" is two linear layers on
    the features of `num_frames` frames side by side: it knows their order, and takes exactly as many. `fusion_size` is
    the width of its layers.

    `fused` says what is fused: the "features", before the classifier, or its "scores" of each frame. The consensus of
    scores is that of Temporal Segment Networks; the classifier being linear, their mean is what the mean of the
    features gives.
    """

    model_type: ClassVar[str] = "frame_pooling"

    num_frames: int = 8
    image_size: int = 224
    fusion: Fusion = "mean"
    fused: Literal["features", "scores"] = "features"
    fusion_size: int = 256

    def default_hidden_size(self) -> int:
        return self.fusion_size if self.fusion == "network" else super().default_hidden_size()

    def validate_fusion(self) -> None:
        if self.fusion_size < 1:
            raise ValueError(f"fusion_size is {self.fusion_size}; it must be 1 or more")
        if self.fused == "scores" and self.fusion in ("attention", "network"):
            raise ValueError(
                f"fusion is {self.fusion!r}, which learns from features: pass fused='features'; scores are fused by "
                "'mean', 'max' or 'sum'"
            )
