"""How a VGG becomes a C3D."""

import re
from typing import Any

from muybridge.models.c3d import C3DConfig, C3DForVideoClassification
from muybridge.models.inflation import Inflation, copy_head, refuse


def make_fields(vgg: Any) -> dict[str, Any]:
    stages = range(1, len(vgg.depths) + 1)
    sizes = vgg.fully_connected_sizes
    refuse(
        {
            "kernel_sizes": (set(vgg.kernel_sizes), {3}),
            **{name: (set(getattr(vgg, name)), {1}) for name in ("strides", "paddings", "groups")},
            "normalized_stages": (tuple(vgg.normalized_stages), ()),
            "pooled_stages": (tuple(vgg.pooled_stages), tuple(stages)),
            "pooling_size": (vgg.pooling_size, 2),
            "pooling_stride": (vgg.pooling_stride, 2),
            "is_pooling_ceiled": (vgg.is_pooling_ceiled, False),
            "fully_connected_sizes": (tuple(sizes), (sizes[-1],) * 2),
            "pooled_size": (vgg.grid, vgg.compute_map_side(vgg.image_size)),
        }
    )
    return {
        "image_size": vgg.image_size,
        "num_channels": vgg.num_channels,
        "depths": vgg.depths,
        "hidden_sizes": vgg.hidden_sizes,
        "fully_connected_size": sizes[-1],
        "has_batch_norm": vgg.has_batch_norm,
        "is_last_pooling_padded": False,
        "head": copy_head(vgg),
    }


def find_image_name(name: str, vgg: Any) -> str:
    """C3D's stages number every layer, with ReLU; its fully connected ones are called fc6 and fc7 after any number."""

    def convolution(match: re.Match[str]) -> str:
        stage, depth = int(match[1]) + 1, vgg.depths[int(match[1])]
        place, part = divmod(int(match[2]), 3 if vgg.has_batch_norm else 2)
        block = f"conv{stage}" if depth == 1 else f"conv{stage}_{place + 1}"
        return f"vgg.conv{stage}.{block}.layers.{('convolution', 'norm')[part]}."

    name = re.sub(r"^c3d\.stages\.(\d+)\.layers\.(\d+)\.", convolution, name)
    return re.sub(r"^c3d\.fc(\d)", lambda match: f"vgg.fc{int(match[1]) - 5 + len(vgg.depths)}", name)


INFLATION = Inflation("VGG (becomes C3D)", C3DConfig, C3DForVideoClassification, make_fields, find_image_name)
