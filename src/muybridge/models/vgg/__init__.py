import lazy_loader

from muybridge.models.registry import Architecture, Paper, register

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register(
    Architecture(
        name="vgg",
        title="VGG",
        prefix="VGG",
        package=__name__,
        task="image-classification",
        input_size="224×224",
        processor_place="muybridge.models.layers.image_processing_imagenet:ImageNetImageProcessor",
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
