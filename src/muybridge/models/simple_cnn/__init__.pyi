from .configuration_simple_cnn import SimpleCNNConfig as SimpleCNNConfig
from .image_processing_simple_cnn import SimpleCNNImageProcessor as SimpleCNNImageProcessor
from .modeling_simple_cnn import (
    SimpleCNNForImageClassification as SimpleCNNForImageClassification,
    SimpleCNNModel as SimpleCNNModel,
    SimpleCNNPreTrainedModel as SimpleCNNPreTrainedModel,
)
from .tiny import TINY_BACKBONE as TINY_BACKBONE
