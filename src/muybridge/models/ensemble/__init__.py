import lazy_loader

from muybridge.models.registry import Architecture, Paper, register
from muybridge.models.simple_cnn import TINY_BACKBONE

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register(
    Architecture(
        name="ensemble",
        title="Ensemble (average of probabilities)",
        prefix="Ensemble",
        package=__name__,
        input_size="16×112×112",
        papers=[
            Paper(
                "Large-scale Video Classification with Convolutional Neural Networks",
                "Karpathy, Toderici, Shetty, Leung, Sukthankar, Fei-Fei",
                2014,
                "https://doi.org/10.1109/CVPR.2014.223",
            )
        ],
        tiny={
            "head": {"name": "linear"},
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
