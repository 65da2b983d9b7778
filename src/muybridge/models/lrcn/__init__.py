from muybridge.models.lrcn.configuration_lrcn import LRCNConfig
from muybridge.models.lrcn.modeling_lrcn import (
    LRCNForVideoClassification,
    LRCNModel,
    LRCNPreTrainedModel,
    StreamState,
)
from muybridge.models.lrcn.video_processing_lrcn import LRCNVideoProcessor
from muybridge.models.registry import Paper, VideoArchitecture, register
from muybridge.models.simple_cnn import TINY_BACKBONE

__all__ = [
    "LRCNConfig",
    "LRCNForVideoClassification",
    "LRCNModel",
    "LRCNPreTrainedModel",
    "LRCNVideoProcessor",
    "StreamState",
]

register(
    VideoArchitecture(
        title="LRCN (image encoder and LSTM or GRU)",
        config=LRCNConfig,
        model=LRCNModel,
        classifier=LRCNForVideoClassification,
        processor=LRCNVideoProcessor,
        papers=[
            Paper(
                "Long-term Recurrent Convolutional Networks for Visual Recognition and Description",
                "Donahue, Hendricks, Rohrbach, Venugopalan, Guadarrama, Saenko, Darrell",
                2015,
                "https://arxiv.org/abs/1411.4389",
            )
        ],
        tiny={"backbone_config": TINY_BACKBONE, "rnn_hidden_size": 8},
    )
)
