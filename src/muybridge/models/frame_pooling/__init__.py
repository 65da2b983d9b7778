import lazy_loader

from muybridge.models.registry import Architecture, Paper, register
from muybridge.models.simple_cnn import TINY_BACKBONE

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register(
    Architecture(
        name="frame_pooling",
        title="Frames fused (single frame, TSN)",
        prefix="FramePooling",
        package=__name__,
        input_size="8×224×224",
        papers=[
            Paper(
                "Temporal Segment Networks: Towards Good Practices for Deep Action Recognition",
                "Wang, Xiong, Wang, Qiao, Lin, Tang, Van Gool",
                2016,
                "https://arxiv.org/abs/1608.00859",
            ),
            Paper(
                "Large-scale Video Classification with Convolutional Neural Networks",
                "Karpathy, Toderici, Shetty, Leung, Sukthankar, Fei-Fei",
                2014,
                "https://doi.org/10.1109/CVPR.2014.223",
            ),
        ],
        takes_backbone=True,
        tiny={"backbone_config": TINY_BACKBONE, "fusion": "network", "fusion_size": 16},
    )
)
