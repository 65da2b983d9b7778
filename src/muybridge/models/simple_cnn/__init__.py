from muybridge.models.registry import ImageArchitecture, Paper, register
from muybridge.models.simple_cnn.configuration_simple_cnn import SimpleCNNConfig
from muybridge.models.simple_cnn.image_processing_simple_cnn import SimpleCNNImageProcessor
from muybridge.models.simple_cnn.modeling_simple_cnn import (
    SimpleCNNForImageClassification,
    SimpleCNNModel,
    SimpleCNNPreTrainedModel,
)

__all__ = [
    "TINY_BACKBONE",
    "SimpleCNNConfig",
    "SimpleCNNForImageClassification",
    "SimpleCNNImageProcessor",
    "SimpleCNNModel",
    "SimpleCNNPreTrainedModel",
]

TINY_LAYERS = (
    {"kind": "convolution", "channels": 8, "kernel_size": 3, "stride": 2, "padding": "same"},
    {"kind": "activation", "function": "relu"},
    {"kind": "max_pooling", "kernel_size": 4},
    {"kind": "convolution", "channels": 32, "kernel_size": 3, "padding": "same"},
    {"kind": "batch_norm"},
    {"kind": "activation", "function": "relu"},
    {"kind": "flatten"},
    {"kind": "linear", "features": 16},
)
# For tests and demonstrations of networks that put an image encoder on frames.
TINY_BACKBONE = {"model_type": "simple_cnn", "image_size": 32, "layers": TINY_LAYERS}

register(
    ImageArchitecture(
        title="Small CNN of listed layers",
        config=SimpleCNNConfig,
        model=SimpleCNNModel,
        classifier=SimpleCNNForImageClassification,
        processor=SimpleCNNImageProcessor,
        papers=[
            Paper(
                "Gradient-Based Learning Applied to Document Recognition",
                "LeCun, Bottou, Bengio, Haffner",
                1998,
                "https://doi.org/10.1109/5.726791",
            )
        ],
        tiny={"layers": TINY_LAYERS},
    )
)
