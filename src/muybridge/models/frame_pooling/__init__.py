from muybridge.models.frame_pooling.configuration_frame_pooling import FramePoolingConfig
from muybridge.models.frame_pooling.modeling_frame_pooling import (
    FramePoolingForVideoClassification,
    FramePoolingModel,
    FramePoolingPreTrainedModel,
)
from muybridge.models.frame_pooling.video_processing_frame_pooling import FramePoolingVideoProcessor
from muybridge.models.registry import Paper, VideoArchitecture, register
from muybridge.models.simple_cnn import TINY_BACKBONE

__all__ = [
    "FramePoolingConfig",
    "FramePoolingForVideoClassification",
    "FramePoolingModel",
    "FramePoolingPreTrainedModel",
    "FramePoolingVideoProcessor",
]

register(
    VideoArchitecture(
        title="Frames fused (single frame, TSN)",
        config=FramePoolingConfig,
        model=FramePoolingModel,
        classifier=FramePoolingForVideoClassification,
        processor=FramePoolingVideoProcessor,
        papers=[
            Paper(
                "Temporal Segment Networks: Towards Good Practices for Deep Action Recognition",
                "Wang, Xiong, Wang, Qiao, Lin, Tang, Van Gool",
                2016,
                "https://arxiv.org/abs/1608.00859",
            ),
            Paper(
                "Large-scale Video Classification with Convolutional Neural Networks",
                "Karpathy, Toderici, Shetty, Leung, Sukthankar, Fei-Fei",
                2014,
                "https://doi.org/10.1109/CVPR.2014.223",
            ),
        ],
        tiny={"backbone_config": TINY_BACKBONE, "fusion": "network", "fusion_size": 16},
    )
)
