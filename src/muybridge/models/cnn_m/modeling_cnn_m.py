"""CNN-M: five convolutions and two fully connected layers, the second smaller.

"Return of the Devil in the Details: Delving Deep into Convolutional Nets" (Chatfield et al., BMVC 2014,
arXiv:1405.3531), and "Two-Stream Convolutional Networks for Action Recognition in Videos" (Simonyan, Zisserman, NIPS
2014, arXiv:1406.2199).
"""

from muybridge.models.cnn_m.configuration_cnn_m import CNNMConfig
from muybridge.models.layers.plain import PlainForImageClassification, PlainModel, PlainPreTrainedModel


class CNNMPreTrainedModel(PlainPreTrainedModel):
    config: CNNMConfig
    base_model_prefix = "cnn_m"


class CNNMModel(CNNMPreTrainedModel, PlainModel):
    """The trunk."""


class CNNMForImageClassification(CNNMPreTrainedModel, PlainForImageClassification):
    trunk_class = CNNMModel
