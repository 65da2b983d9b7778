from .configuration_zfnet import ZFNetConfig as ZFNetConfig
from .modeling_zfnet import (
    ZFNetForImageClassification as ZFNetForImageClassification,
    ZFNetModel as ZFNetModel,
    ZFNetPreTrainedModel as ZFNetPreTrainedModel,
)
