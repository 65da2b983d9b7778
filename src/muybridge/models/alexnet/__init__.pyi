from .configuration_alexnet import AlexNetConfig as AlexNetConfig
from .image_processing_alexnet import AlexNetImageProcessor as AlexNetImageProcessor
from .modeling_alexnet import (
    AlexNetForImageClassification as AlexNetForImageClassification,
    AlexNetModel as AlexNetModel,
    AlexNetPreTrainedModel as AlexNetPreTrainedModel,
)
