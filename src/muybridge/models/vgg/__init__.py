from muybridge.models.layers.image_processing_imagenet import ImageNetImageProcessor
from muybridge.models.registry import ImageArchitecture, Paper, register
from muybridge.models.vgg.configuration_vgg import VGGConfig
from muybridge.models.vgg.modeling_vgg import (
    VGGForImageClassification,
    VGGModel,
    VGGPreTrainedModel,
)

__all__ = [
    "VGGConfig",
    "VGGForImageClassification",
    "VGGModel",
    "VGGPreTrainedModel",
]

register(
    ImageArchitecture(
        title="VGG",
        config=VGGConfig,
        model=VGGModel,
        classifier=VGGForImageClassification,
        processor=ImageNetImageProcessor,
        papers=[
            Paper(
                "Very Deep Convolutional Networks for Large-Scale Image Recognition",
                "Simonyan, Zisserman",
                2014,
                "https://arxiv.org/abs/1409.1556",
            )
        ],
        tiny={
            "depths": (1, 2, 1, 1, 1),
            "hidden_sizes": (8, 12, 16, 16, 8),
            "has_batch_norm": True,
            "fully_connected_sizes": (24, 20),
            "fully_connected_dropouts": (0.0, 0.0),
        },
    )
)
