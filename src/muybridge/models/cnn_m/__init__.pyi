from .configuration_cnn_m import CNNMConfig as CNNMConfig
from .modeling_cnn_m import (
    CNNMForImageClassification as CNNMForImageClassification,
    CNNMModel as CNNMModel,
    CNNMPreTrainedModel as CNNMPreTrainedModel,
)
