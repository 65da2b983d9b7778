from muybridge.models.googlenet.configuration_googlenet import GoogLeNetConfig
from muybridge.models.googlenet.modeling_googlenet import (
    GoogLeNetForImageClassification,
    GoogLeNetModel,
    GoogLeNetPreTrainedModel,
)
from muybridge.models.layers.image_processing_imagenet import ImageNetImageProcessor
from muybridge.models.registry import ImageArchitecture, Paper, register

__all__ = [
    "GoogLeNetConfig",
    "GoogLeNetForImageClassification",
    "GoogLeNetModel",
    "GoogLeNetPreTrainedModel",
]

register(
    ImageArchitecture(
        title="GoogLeNet",
        config=GoogLeNetConfig,
        model=GoogLeNetModel,
        classifier=GoogLeNetForImageClassification,
        processor=ImageNetImageProcessor,
        papers=[
            Paper(
                "Going Deeper with Convolutions",
                "Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich",
                2014,
                "https://arxiv.org/abs/1409.4842",
            )
        ],
        tiny={
            "stem_sizes": (8, 8, 12),
            "inception_sizes": ((4, 4, 6, 2, 4, 2),) * 5,
            "depths": (1, 3, 1),
            "auxiliary_sizes": (4, 8),
            "auxiliary_dropout": 0.0,
        },
    )
)
