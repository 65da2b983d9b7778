from .configuration_video_resnet import VideoResNetConfig as VideoResNetConfig
from .modeling_video_resnet import (
    VideoResNetForVideoClassification as VideoResNetForVideoClassification,
    VideoResNetModel as VideoResNetModel,
    VideoResNetPreTrainedModel as VideoResNetPreTrainedModel,
)
from .video_processing_video_resnet import VideoResNetVideoProcessor as VideoResNetVideoProcessor
