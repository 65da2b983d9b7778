import lazy_loader

from muybridge.models.registry import Architecture, Paper, register

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register(
    Architecture(
        name="zfnet",
        title="ZFNet",
        prefix="ZFNet",
        package=__name__,
        task="image-classification",
        input_size="224×224",
        processor_place="muybridge.models.layers.image_processing_imagenet:ImageNetMeanImageProcessor",
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
