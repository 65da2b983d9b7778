from muybridge.models.c3d.configuration_c3d import C3DConfig
from muybridge.models.c3d.modeling_c3d import C3DForVideoClassification, C3DModel, C3DPreTrainedModel
from muybridge.models.c3d.video_processing_c3d import C3DVideoProcessor
from muybridge.models.registry import Paper, VideoArchitecture, register

__all__ = ["C3DConfig", "C3DForVideoClassification", "C3DModel", "C3DPreTrainedModel", "C3DVideoProcessor"]

register(
    VideoArchitecture(
        title="C3D",
        config=C3DConfig,
        model=C3DModel,
        classifier=C3DForVideoClassification,
        processor=C3DVideoProcessor,
        papers=[
            Paper(
                "Learning Spatiotemporal Features with 3D Convolutional Networks",
                "Tran, Bourdev, Fergus, Torresani, Paluri",
                2015,
                "https://arxiv.org/abs/1412.0767",
            )
        ],
        tiny={"depths": (1, 2), "hidden_sizes": (8, 16), "fully_connected_size": 32},
    )
)
