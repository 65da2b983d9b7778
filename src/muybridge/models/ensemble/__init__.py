from muybridge.models.ensemble.configuration_ensemble import EnsembleConfig
from muybridge.models.ensemble.modeling_ensemble import (
    EnsembleForVideoClassification,
    EnsembleModel,
    EnsemblePreTrainedModel,
)
from muybridge.models.ensemble.video_processing_ensemble import EnsembleVideoProcessor
from muybridge.models.registry import Paper, VideoArchitecture, register
from muybridge.models.simple_cnn import TINY_BACKBONE

__all__ = [
    "EnsembleConfig",
    "EnsembleForVideoClassification",
    "EnsembleModel",
    "EnsemblePreTrainedModel",
    "EnsembleVideoProcessor",
]

register(
    VideoArchitecture(
        title="Ensemble (average of probabilities)",
        config=EnsembleConfig,
        model=EnsembleModel,
        classifier=EnsembleForVideoClassification,
        processor=EnsembleVideoProcessor,
        papers=[
            Paper(
                "Large-scale Video Classification with Convolutional Neural Networks",
                "Karpathy, Toderici, Shetty, Leung, Sukthankar, Fei-Fei",
                2014,
                "https://doi.org/10.1109/CVPR.2014.223",
            )
        ],
        tiny={
            "fusion": "linear",
            "members": (
                {
                    "name": "recurrent",
                    "config": {
                        "model_type": "lrcn",
                        "num_frames": 2,
                        "image_size": 32,
                        "backbone_config": TINY_BACKBONE,
                    },
                },
                {
                    "name": "residual",
                    "config": {
                        "model_type": "video_resnet",
                        "image_size": 16,
                        "depths": [1],
                        "hidden_sizes": [8],
                        "convolutions": ["3d"],
                    },
                    "image_mean": [0.5, 0.5, 0.5],
                    "image_std": [0.5, 0.5, 0.5],
                },
            ),
        },
    )
)
