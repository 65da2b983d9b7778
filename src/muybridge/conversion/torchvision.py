"""Weights of torchvision.models.video."""

from collections.abc import Mapping
from typing import Any

from muybridge.conversion.sources import Source

RENAMES = [
    (r"^layer(\d)\.", lambda match: f"video_resnet.stages.{int(match[1]) - 1}."),
    (r"^stem\.", "video_resnet.stem."),
    (r"^fc\.", "classifier."),
    (r"\.downsample\.0\.", ".shortcut.convolution."),
    (r"\.downsample\.1\.", ".shortcut.norm."),
    (r"\.(conv\d)\.0\.0\.", r".layers.\1.spatial."),
    (r"\.(conv\d)\.0\.1\.", r".layers.\1.spatial_norm."),
    (r"\.(conv\d)\.0\.3\.", r".layers.\1.temporal."),
    (r"\.(conv\d)\.0\.", r".layers.\1.convolution."),
    (r"\.(conv\d)\.1\.", r".layers.\1.norm."),
]
STEM_3D = [(r"\.stem\.0\.", ".stem.convolution."), (r"\.stem\.1\.", ".stem.norm.")]
STEM_2PLUS1D = [
    (r"\.stem\.0\.", ".stem.spatial."),
    (r"\.stem\.1\.", ".stem.spatial_norm."),
    (r"\.stem\.3\.", ".stem.temporal."),
    (r"\.stem\.4\.", ".stem.norm."),
]
PROTOCOL = "a video's mean over 5 clips of 16 frames at 15 frames a second, centre crop"


def source(name: str, top1: float, fields: Mapping[str, Any]) -> Source:
    stem = STEM_2PLUS1D if fields.get("stem_convolution") == "2plus1d" else STEM_3D
    return Source(
        name=f"torchvision/{name}",
        architecture_name="video_resnet",
        fields={"mid_channels": "block", "protocol": {"num_clips": 5}, **fields},
        renames=RENAMES + stem,
        classifier="fc.weight",
        licence="bsd-3-clause",
        homepage="https://github.com/pytorch/vision",
        datasets=["kinetics400"],
        numbers=[f"{top1:.1f} % top-1 of Kinetics-400, said by torchvision: {PROTOCOL}."],
        labels={400: "kinetics400"},
    )


SOURCES = [
    source("r3d_18", 63.2, {}),
    source("mc3_18", 63.96, {"convolutions": ("3d", "2d", "2d", "2d")}),
    source("r2plus1d_18", 67.463, {"convolutions": ("2plus1d",) * 4, "stem_convolution": "2plus1d"}),
]
