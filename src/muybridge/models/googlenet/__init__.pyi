from .configuration_googlenet import GoogLeNetConfig as GoogLeNetConfig
from .modeling_googlenet import (
    GoogLeNetForImageClassification as GoogLeNetForImageClassification,
    GoogLeNetModel as GoogLeNetModel,
    GoogLeNetPreTrainedModel as GoogLeNetPreTrainedModel,
)
