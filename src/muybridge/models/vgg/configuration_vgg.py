"""Config of VGG."""

from collections.abc import Mapping
from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict

from muybridge.models.base import Numbers
from muybridge.models.layers.plain_configuration import PlainConfig

DEPTHS = {"11": (1, 1, 2, 2, 2), "13": (2, 2, 2, 2, 2), "16": (2, 2, 3, 3, 3), "19": (2, 2, 4, 4, 4)}


@strict
class VGGConfig(PlainConfig):
    """VGG; the defaults make VGG-16. Presets: "11", "13", "16" and "19", and each with batch norm: "11_bn" …"""

    model_type: ClassVar[str] = "vgg"

    depths: Numbers = DEPTHS["16"]
    hidden_sizes: Numbers = (64, 128, 256, 512, 512)
    kernel_sizes: Numbers = (3, 3, 3, 3, 3)
    strides: Numbers = (1, 1, 1, 1, 1)
    paddings: Numbers = (1, 1, 1, 1, 1)
    pooled_stages: Numbers = (1, 2, 3, 4, 5)
    pooling_size: int = 2

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        **{name: {"depths": depths} for name, depths in DEPTHS.items()},
        **{f"{name}_bn": {"depths": depths, "has_batch_norm": True} for name, depths in DEPTHS.items()},
    }
