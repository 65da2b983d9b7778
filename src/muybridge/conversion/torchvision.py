"""Weights of torchvision.models.video."""

from collections.abc import Mapping
from typing import Any

from muybridge.conversion.sources import Renames, Source

RENAMES: Renames = [
    (r"^video_resnet\.stages\.(\d)\.", lambda match: f"layer{int(match[1]) + 1}."),
    (r"^video_resnet\.stem\.", "stem."),
    (r"^head\.classifier\.", "fc."),
    (r"\.shortcut\.convolution\.", ".downsample.0."),
    (r"\.shortcut\.norm\.", ".downsample.1."),
    (r"\.layers\.(conv\d)\.convolution\.", r".\1.0."),
    (r"\.layers\.(conv\d)\.spatial\.", r".\1.0.0."),
    (r"\.layers\.(conv\d)\.spatial_norm\.", r".\1.0.1."),
    (r"\.layers\.(conv\d)\.temporal\.", r".\1.0.3."),
    (r"\.layers\.(conv\d)\.norm\.", r".\1.1."),
]
STEM_3D: Renames = [(r"^stem\.convolution\.", "stem.0."), (r"^stem\.norm\.", "stem.1.")]
STEM_2PLUS1D: Renames = [
    (r"^stem\.spatial\.", "stem.0."),
    (r"^stem\.spatial_norm\.", "stem.1."),
    (r"^stem\.temporal\.", "stem.3."),
    (r"^stem\.norm\.", "stem.4."),
]
# Five clips of 16 frames at 15 frames a second, centre crop.
PROTOCOL = {"num_clips": 5}


def make_source(name: str, fields: Mapping[str, Any]) -> Source:
    stem = STEM_2PLUS1D if fields.get("stem_convolution") == "2plus1d" else STEM_3D
    return Source(
        name=f"torchvision/{name}",
        fields={"mid_channels": "block", **fields},
        renames=[*RENAMES, *stem],
        classifier="fc.weight",
        protocol=PROTOCOL,
    )


SOURCES = [
    make_source("r3d_18", {}),
    make_source("mc3_18", {"convolutions": ("3d", "2d", "2d", "2d")}),
    make_source("r2plus1d_18", {"convolutions": ("2plus1d",) * 4, "stem_convolution": "2plus1d"}),
]
