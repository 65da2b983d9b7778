import lazy_loader

from muybridge.models.registry import Architecture, Paper, register
from muybridge.models.simple_cnn import TINY_BACKBONE

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register(
    Architecture(
        name="lrcn",
        title="LRCN (image encoder and LSTM or GRU)",
        prefix="LRCN",
        package=__name__,
        input_size="20×64×64",
        papers=[
            Paper(
                "Long-term Recurrent Convolutional Networks for Visual Recognition and Description",
                "Donahue, Hendricks, Rohrbach, Venugopalan, Guadarrama, Saenko, Darrell",
                2015,
                "https://arxiv.org/abs/1411.4389",
            )
        ],
        takes_backbone=True,
        tiny={"backbone_config": TINY_BACKBONE, "rnn_hidden_size": 8},
    )
)
