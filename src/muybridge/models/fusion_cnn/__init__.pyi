from .configuration_fusion_cnn import FusionCNNConfig as FusionCNNConfig
from .modeling_fusion_cnn import (
    FusionCNNForVideoClassification as FusionCNNForVideoClassification,
    FusionCNNModel as FusionCNNModel,
    FusionCNNPreTrainedModel as FusionCNNPreTrainedModel,
)
from .video_processing_fusion_cnn import FusionCNNVideoProcessor as FusionCNNVideoProcessor
