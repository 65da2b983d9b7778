"""ZFNet: AlexNet altered after a look at what its layers see.

"Visualizing and Understanding Convolutional Networks" (Zeiler, Fergus, ECCV 2014, arXiv:1311.2901).
"""

from muybridge.models.layers.plain import PlainForImageClassification, PlainModel, PlainPreTrainedModel
from muybridge.models.zfnet.configuration_zfnet import ZFNetConfig


class ZFNetPreTrainedModel(PlainPreTrainedModel):
    config: ZFNetConfig
    base_model_prefix = "zfnet"


class ZFNetModel(ZFNetPreTrainedModel, PlainModel):
    """The trunk."""


class ZFNetForImageClassification(ZFNetPreTrainedModel, PlainForImageClassification):
    trunk_class = ZFNetModel
