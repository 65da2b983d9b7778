import lazy_loader

from muybridge.models.registry import Architecture, Paper, register

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register(
    Architecture(
        name="video_resnet",
        title="R3D, MC3, R(2+1)D",
        prefix="VideoResNet",
        package=__name__,
        input_size="16×112×112",
        papers=[
            Paper(
                "A Closer Look at Spatiotemporal Convolutions for Action Recognition",
                "Tran, Wang, Torresani, Ray, LeCun, Paluri",
                2018,
                "https://arxiv.org/abs/1711.11248",
            ),
            Paper(
                "Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and ImageNet?",
                "Hara, Kataoka, Satoh",
                2018,
                "https://arxiv.org/abs/1711.09577",
            ),
        ],
        inflated_from="resnet",
        tiny={"depths": (1, 1), "hidden_sizes": (8, 16), "convolutions": ("2plus1d", "3d")},
    )
)
