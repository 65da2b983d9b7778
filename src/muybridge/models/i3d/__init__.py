from muybridge.models.i3d.configuration_i3d import I3DConfig
from muybridge.models.i3d.modeling_i3d import I3DForVideoClassification, I3DModel, I3DPreTrainedModel
from muybridge.models.i3d.video_processing_i3d import I3DFlowProcessor, I3DVideoProcessor
from muybridge.models.registry import Paper, VideoArchitecture, register

__all__ = [
    "I3DConfig",
    "I3DFlowProcessor",
    "I3DForVideoClassification",
    "I3DModel",
    "I3DPreTrainedModel",
    "I3DVideoProcessor",
]

register(
    VideoArchitecture(
        title="I3D",
        config=I3DConfig,
        model=I3DModel,
        classifier=I3DForVideoClassification,
        processor=I3DVideoProcessor,
        papers=[
            Paper(
                "Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset",
                "Carreira, Zisserman",
                2017,
                "https://arxiv.org/abs/1705.07750",
            )
        ],
        tiny={"num_frames": 16, "width_multiplier": 1 / 8},
    )
)
