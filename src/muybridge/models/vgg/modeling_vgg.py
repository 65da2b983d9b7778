"""VGG: stacks of 3×3 convolutions, and two fully connected layers.

"Very Deep Convolutional Networks for Large-Scale Image Recognition" (Simonyan, Zisserman, ICLR 2015, arXiv:1409.1556).
"""

from muybridge.models.layers.plain import PlainForImageClassification, PlainModel, PlainPreTrainedModel
from muybridge.models.vgg.configuration_vgg import VGGConfig


class VGGPreTrainedModel(PlainPreTrainedModel):
    config: VGGConfig
    base_model_prefix = "vgg"


class VGGModel(VGGPreTrainedModel, PlainModel):
    """The trunk."""


class VGGForImageClassification(VGGPreTrainedModel, PlainForImageClassification):
    trunk_class = VGGModel
