from .configuration_c3d import C3DConfig as C3DConfig
from .modeling_c3d import (
    C3DForVideoClassification as C3DForVideoClassification,
    C3DModel as C3DModel,
    C3DPreTrainedModel as C3DPreTrainedModel,
)
from .video_processing_c3d import C3DVideoProcessor as C3DVideoProcessor
