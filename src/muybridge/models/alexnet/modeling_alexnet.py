"""AlexNet: five convolutions and two fully connected layers.

"ImageNet Classification with Deep Convolutional Neural Networks" (Krizhevsky, Sutskever, Hinton, NIPS 2012), and
"One weird trick for parallelizing convolutional neural networks" (Krizhevsky 2014, arXiv:1404.5997).
"""

from muybridge.models.alexnet.configuration_alexnet import AlexNetConfig
from muybridge.models.layers.plain import PlainForImageClassification, PlainModel, PlainPreTrainedModel


class AlexNetPreTrainedModel(PlainPreTrainedModel):
    config: AlexNetConfig
    base_model_prefix = "alexnet"


class AlexNetModel(AlexNetPreTrainedModel, PlainModel):
    """The trunk."""


class AlexNetForImageClassification(AlexNetPreTrainedModel, PlainForImageClassification):
    trunk_class = AlexNetModel
