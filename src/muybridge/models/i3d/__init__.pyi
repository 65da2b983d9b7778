from .configuration_i3d import I3DConfig as I3DConfig
from .modeling_i3d import (
    I3DForVideoClassification as I3DForVideoClassification,
    I3DModel as I3DModel,
    I3DPreTrainedModel as I3DPreTrainedModel,
)
from .video_processing_i3d import I3DFlowProcessor as I3DFlowProcessor, I3DVideoProcessor as I3DVideoProcessor
