import lazy_loader

from muybridge.models.registry import Architecture, Paper, register

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register(
    Architecture(
        name="cnn_m",
        title="CNN-M",
        prefix="CNNM",
        package=__name__,
        task="image-classification",
        input_size="224×224",
        processor_place="muybridge.models.layers.image_processing_imagenet:ImageNetMeanImageProcessor",
        papers=[
            Paper(
                "Return of the Devil in the Details: Delving Deep into Convolutional Nets",
                "Chatfield, Simonyan, Vedaldi, Zisserman",
                2014,
                "https://arxiv.org/abs/1405.3531",
            ),
            Paper(
                "Two-Stream Convolutional Networks for Action Recognition in Videos",
                "Simonyan, Zisserman",
                2014,
                "https://arxiv.org/abs/1406.2199",
            ),
        ],
        tiny={
            "hidden_sizes": (8, 12, 16, 16, 8),
            "kernel_sizes": (5, 3, 3, 3, 3),
            "strides": (2, 1, 1, 1, 1),
            "paddings": (2, 1, 1, 1, 1),
            "fully_connected_sizes": (24, 20),
            "fully_connected_dropouts": (0.0, 0.0),
        },
    )
)
