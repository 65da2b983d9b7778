from muybridge.models.layers.image_processing_imagenet import ImageNetMeanImageProcessor
from muybridge.models.registry import ImageArchitecture, Paper, register
from muybridge.models.zfnet.configuration_zfnet import ZFNetConfig
from muybridge.models.zfnet.modeling_zfnet import (
    ZFNetForImageClassification,
    ZFNetModel,
    ZFNetPreTrainedModel,
)

__all__ = [
    "ZFNetConfig",
    "ZFNetForImageClassification",
    "ZFNetModel",
    "ZFNetPreTrainedModel",
]

register(
    ImageArchitecture(
        title="ZFNet",
        config=ZFNetConfig,
        model=ZFNetModel,
        classifier=ZFNetForImageClassification,
        processor=ImageNetMeanImageProcessor,
        papers=[
            Paper(
                "Visualizing and Understanding Convolutional Networks",
                "Zeiler, Fergus",
                2014,
                "https://arxiv.org/abs/1311.2901",
            )
        ],
        tiny={
            "hidden_sizes": (8, 12, 16, 16, 8),
            "kernel_sizes": (5, 3, 3, 3, 3),
            "strides": (2, 1, 1, 1, 1),
            "fully_connected_sizes": (24, 20),
            "fully_connected_dropouts": (0.0, 0.0),
        },
    )
)
