"""ResNet on images is transformers' own; here is what conversion and cards want to know of it."""

from transformers import ResNetConfig, ResNetForImageClassification, ResNetModel

from muybridge.models.layers.image_processing_imagenet import ImageNetImageProcessor
from muybridge.models.registry import ForeignImageArchitecture, Paper, register_foreign

__all__: list[str] = []

register_foreign(
    ForeignImageArchitecture(
        title="ResNet",
        config=ResNetConfig,
        model=ResNetModel,
        classifier=ResNetForImageClassification,
        processor=ImageNetImageProcessor,
        papers=[
            Paper(
                "Deep Residual Learning for Image Recognition",
                "He, Zhang, Ren, Sun",
                2015,
                "https://arxiv.org/abs/1512.03385",
            )
        ],
        tiny={"depths": (1, 1), "hidden_sizes": (8, 16), "embedding_size": 8},
    )
)
