from muybridge.models.cnn_m.configuration_cnn_m import CNNMConfig
from muybridge.models.cnn_m.modeling_cnn_m import (
    CNNMForImageClassification,
    CNNMModel,
    CNNMPreTrainedModel,
)
from muybridge.models.layers.image_processing_imagenet import ImageNetMeanImageProcessor
from muybridge.models.registry import ImageArchitecture, Paper, register

__all__ = [
    "CNNMConfig",
    "CNNMForImageClassification",
    "CNNMModel",
    "CNNMPreTrainedModel",
]

register(
    ImageArchitecture(
        title="CNN-M",
        config=CNNMConfig,
        model=CNNMModel,
        classifier=CNNMForImageClassification,
        processor=ImageNetMeanImageProcessor,
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
