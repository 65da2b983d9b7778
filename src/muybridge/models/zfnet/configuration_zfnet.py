"""Config of ZFNet."""

from collections.abc import Mapping
from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict

from muybridge.models.base import Numbers
from muybridge.models.layers.plain_configuration import PlainConfig


@strict
class ZFNetConfig(PlainConfig):
    """ZFNet: AlexNet with a finer first layer, and normalised after pooling.

    The paper gives the sizes of all maps (110, 55, 26, 13, 13, 13, 6), which the paddings and the pooling here make; it
    gives no constants of the norm, which are AlexNet's.
    """

    model_type: ClassVar[str] = "zfnet"

    kernel_sizes: Numbers = (7, 5, 3, 3, 3)
    strides: Numbers = (2, 2, 1, 1, 1)
    paddings: Numbers = (1, 0, 1, 1, 1)
    normalized_stages: Numbers = (1, 2)
    is_normalized_first: bool = False
    is_pooling_ceiled: bool = True

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {"2014": {}}
