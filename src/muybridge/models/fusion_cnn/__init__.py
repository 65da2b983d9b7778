from muybridge.models.fusion_cnn.configuration_fusion_cnn import FusionCNNConfig
from muybridge.models.fusion_cnn.modeling_fusion_cnn import (
    FusionCNNForVideoClassification,
    FusionCNNModel,
    FusionCNNPreTrainedModel,
)
from muybridge.models.fusion_cnn.video_processing_fusion_cnn import FusionCNNVideoProcessor
from muybridge.models.registry import Paper, VideoArchitecture, register

__all__ = [
    "FusionCNNConfig",
    "FusionCNNForVideoClassification",
    "FusionCNNModel",
    "FusionCNNPreTrainedModel",
    "FusionCNNVideoProcessor",
]

register(
    VideoArchitecture(
        title="Single frame, early, late and slow fusion",
        config=FusionCNNConfig,
        model=FusionCNNModel,
        classifier=FusionCNNForVideoClassification,
        processor=FusionCNNVideoProcessor,
        papers=[
            Paper(
                "Large-scale Video Classification with Convolutional Neural Networks",
                "Karpathy, Toderici, Shetty, Leung, Sukthankar, Fei-Fei",
                2014,
                "https://cs.stanford.edu/people/karpathy/deepvideo",
            )
        ],
        tiny={
            "streams": "both",
            "hidden_sizes": (8, 12, 16),
            "kernel_sizes": (5, 3, 3),
            "stem_stride": 2,
            "fusion_frames": (2, 2),
            "fusion_strides": (2, 1),
            "num_frames": 4,
            "fully_connected_size": 32,
        },
    )
)
