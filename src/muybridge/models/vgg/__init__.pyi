from .configuration_vgg import VGGConfig as VGGConfig
from .modeling_vgg import (
    VGGForImageClassification as VGGForImageClassification,
    VGGModel as VGGModel,
    VGGPreTrainedModel as VGGPreTrainedModel,
)
