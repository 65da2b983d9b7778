"""Config of CNN-M."""

from collections.abc import Mapping
from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict

from muybridge.models.base import Numbers
from muybridge.models.layers.local_response_norm import Neighbours
from muybridge.models.layers.plain_configuration import PlainConfig


@strict
class CNNMConfig(PlainConfig):
    """CNN-M; the defaults are CNN-M-2048, the network of the two-stream paper.

    Presets: "2048", "1024" and "128" by the size of fc7, and "2048_one_norm", whose second stage has no norm: with
    `num_channels` for a stack of flow it is the temporal network of two streams.
    """

    model_type: ClassVar[str] = "cnn_m"

    hidden_sizes: Numbers = (96, 256, 512, 512, 512)
    kernel_sizes: Numbers = (7, 5, 3, 3, 3)
    strides: Numbers = (2, 2, 1, 1, 1)
    paddings: Numbers = (0, 1, 1, 1, 1)
    normalized_stages: Numbers = (1, 2)
    norm_alpha: float = 5e-4
    norm_neighbours: Neighbours = "mean"
    is_pooling_ceiled: bool = True
    fully_connected_sizes: Numbers = (4096, 2048)

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "2048": {},
        "1024": {"fully_connected_sizes": (4096, 1024)},
        "128": {"fully_connected_sizes": (4096, 128)},
        "2048_one_norm": {"normalized_stages": (1,)},
    }
