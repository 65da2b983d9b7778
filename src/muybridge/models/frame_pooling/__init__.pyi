from .configuration_frame_pooling import FramePoolingConfig as FramePoolingConfig
from .modeling_frame_pooling import (
    FramePoolingForVideoClassification as FramePoolingForVideoClassification,
    FramePoolingModel as FramePoolingModel,
    FramePoolingPreTrainedModel as FramePoolingPreTrainedModel,
)
from .video_processing_frame_pooling import FramePoolingVideoProcessor as FramePoolingVideoProcessor
