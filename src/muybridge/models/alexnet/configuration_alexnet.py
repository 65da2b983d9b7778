"""Config of AlexNet."""

from collections.abc import Mapping
from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict

from muybridge.models.base import Numbers
from muybridge.models.layers.plain_configuration import PlainConfig


@strict
class AlexNetConfig(PlainConfig):
    """AlexNet; the defaults are the network of 2012, whose two halves of channels are groups here.

    Presets: "2012"; "caffe", as BVLC trained it; "caffenet", which normalises after pooling; "torchvision", a later
    variant without norms and groups ("One weird trick for parallelizing convolutional neural networks").
    """

    model_type: ClassVar[str] = "alexnet"

    image_size: int = 227
    groups: Numbers = (1, 2, 1, 2, 2)
    normalized_stages: Numbers = (1, 2)

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "2012": {},
        "caffe": {"norm_k": 1.0, "norm_neighbours": "mean", "is_pooling_ceiled": True},
        "caffenet": {
            "norm_k": 1.0,
            "norm_neighbours": "mean",
            "is_pooling_ceiled": True,
            "is_normalized_first": False,
        },
        "torchvision": {
            "image_size": 224,
            "hidden_sizes": (64, 192, 384, 256, 256),
            "paddings": (2, 2, 1, 1, 1),
            "groups": (1, 1, 1, 1, 1),
            "normalized_stages": (),
            "pooled_size": 6,
            "fully_connected_dropouts": (0.5, 0.5),
            "head": {"dropout": 0.0},
        },
    }
