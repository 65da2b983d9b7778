"""ResNet on images is transformers' own; here is what conversion and cards want to know of it."""

from muybridge.models.registry import Architecture, Paper, register_foreign

register_foreign(
    Architecture(
        name="resnet",
        title="ResNet",
        prefix="ResNet",
        package="transformers",
        task="image-classification",
        input_size="224×224",
        processor_place="muybridge.models.layers.image_processing_imagenet:ImageNetImageProcessor",
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
