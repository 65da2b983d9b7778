from .configuration_lrcn import LRCNConfig as LRCNConfig
from .modeling_lrcn import (
    LRCNForVideoClassification as LRCNForVideoClassification,
    LRCNModel as LRCNModel,
    LRCNPreTrainedModel as LRCNPreTrainedModel,
    StreamState as StreamState,
)
from .video_processing_lrcn import LRCNVideoProcessor as LRCNVideoProcessor
