"""Config of networks that fuse what an image encoder says of single frames."""

from typing import Any, ClassVar, Literal

from huggingface_hub.dataclasses import strict

from muybridge.models.image_encoder import FramesConfig, specify_backbone

Fusion = Literal["mean", "max", "sum", "attention", "network"]


@strict
class FramePoolingConfig(FramesConfig):
    """An image encoder on every frame, and one of five ways to make one vector of the frames' features.

    "mean", "max" and "sum" go by feature. "attention" is a mean with weights, a softmax over the frames of a learned
    score. All four see a set of frames, of any number, and are blind to their order. "network" is two linear layers on
    the features of `num_frames` frames side by side: it knows their order, and takes exactly as many. `fusion_size` is
    the width of its layers.

    These fuse features, and the head classifies what comes out. With the head {"name": "frames", "aggregation":
    "logits"} the scores of single frames are fused instead: the consensus of Temporal Segment Networks. The classifier
    being linear, the mean of the scores is what the mean of the features gives.
    """

    model_type: ClassVar[str] = "frame_pooling"
    sub_configs_defaults = specify_backbone("resnet")

    num_frames: int = 8
    image_size: int = 224
    fusion: Fusion = "mean"
    fusion_size: int = 256

    def default_backbone(self) -> dict[str, Any]:
        return {"model_type": "resnet", "num_channels": self.num_channels}

    def default_hidden_size(self) -> int:
        return self.fusion_size if self.fusion == "network" else super().default_hidden_size()

    def validate_fusion(self) -> None:
        if self.fusion_size < 1:
            raise ValueError(f"fusion_size is {self.fusion_size}; it must be 1 or more")
        if (self.head or {}).get("name") == "frames" and self.fusion in ("attention", "network"):
            raise ValueError(
                f"fusion is {self.fusion!r}, which learns from features, and the head 'frames' fuses the scores of "
                "frames: leave one of them out"
            )
