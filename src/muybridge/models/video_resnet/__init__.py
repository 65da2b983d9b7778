from muybridge.models.registry import Paper, VideoArchitecture, register
from muybridge.models.video_resnet.configuration_video_resnet import VideoResNetConfig
from muybridge.models.video_resnet.modeling_video_resnet import (
    VideoResNetForVideoClassification,
    VideoResNetModel,
    VideoResNetPreTrainedModel,
)
from muybridge.models.video_resnet.video_processing_video_resnet import VideoResNetVideoProcessor

__all__ = [
    "VideoResNetConfig",
    "VideoResNetForVideoClassification",
    "VideoResNetModel",
    "VideoResNetPreTrainedModel",
    "VideoResNetVideoProcessor",
]

register(
    VideoArchitecture(
        title="R3D, MC3, R(2+1)D",
        config=VideoResNetConfig,
        model=VideoResNetModel,
        classifier=VideoResNetForVideoClassification,
        processor=VideoResNetVideoProcessor,
        papers=[
            Paper(
                "A Closer Look at Spatiotemporal Convolutions for Action Recognition",
                "Tran, Wang, Torresani, Ray, LeCun, Paluri",
                2018,
                "https://arxiv.org/abs/1711.11248",
            ),
            Paper(
                "Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and ImageNet?",
                "Hara, Kataoka, Satoh",
                2018,
                "https://arxiv.org/abs/1711.09577",
            ),
        ],
        tiny={"depths": (1, 1), "hidden_sizes": (8, 16), "convolutions": ("2plus1d", "3d")},
    )
)
