"""How a classifier of images with Inception modules becomes an I3D."""

import re
from typing import Any

from muybridge.models.i3d import I3DConfig, I3DForVideoClassification
from muybridge.models.inflation import Inflation, copy_head, refuse

GOOGLENET_NAMES = {
    "conv3d_1a_7x7": "conv1.conv1.layers",
    "conv3d_2b_1x1": "conv2.reduce2.layers",
    "conv3d_2c_3x3": "conv2.conv2.layers",
    "branch_0": "branch_1x1",
    "branch_1": "branch_3x3",
    "branch_2": "branch_5x5",
    "branch_3": "branch_pooled",
}


def make_fields(googlenet: Any) -> dict[str, Any]:
    refuse(
        {
            "has_batch_norm": (googlenet.has_batch_norm, True),
            "large_kernel_size": (googlenet.large_kernel_size, 3),
            "last_pooling_size": (googlenet.last_pooling_size, 2),
            "depths": (tuple(googlenet.depths), (2, 5, 2)),
        }
    )
    return {
        "image_size": googlenet.image_size,
        "num_channels": googlenet.num_channels,
        "hidden_sizes": googlenet.stem_sizes,
        "mixed_sizes": googlenet.inception_sizes,
        "padding": "symmetric",
        "batch_norm_eps": googlenet.batch_norm_eps,
        "head": copy_head(googlenet),
    }


def find_image_name(name: str, _googlenet: Any) -> str:
    def inception(match: re.Match[str]) -> str:
        return f"inception{match[1]}{chr(ord(match[2]) - 1)}"  # I3D counts the pooling: 3b is the first

    parts = [GOOGLENET_NAMES.get(part, part) for part in name.split(".")]
    return re.sub(r"\bmixed_(\d)(\w)", inception, re.sub(r"^i3d\.", "googlenet.", ".".join(parts)))


INFLATION = Inflation(
    "GoogLeNet with batch norm (becomes I3D)", I3DConfig, I3DForVideoClassification, make_fields, find_image_name
)
