from .configuration_ensemble import EnsembleConfig as EnsembleConfig
from .modeling_ensemble import (
    EnsembleForVideoClassification as EnsembleForVideoClassification,
    EnsembleModel as EnsembleModel,
    EnsemblePreTrainedModel as EnsemblePreTrainedModel,
)
from .video_processing_ensemble import EnsembleVideoProcessor as EnsembleVideoProcessor
