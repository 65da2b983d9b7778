import lazy_loader

from muybridge.models.registry import Architecture, Paper, register

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register(
    Architecture(
        name="c3d",
        title="C3D",
        prefix="C3D",
        package=__name__,
        input_size="16×112×112",
        papers=[
            Paper(
                "Learning Spatiotemporal Features with 3D Convolutional Networks",
                "Tran, Bourdev, Fergus, Torresani, Paluri",
                2015,
                "https://arxiv.org/abs/1412.0767",
            )
        ],
        inflated_from="vgg",
        tiny={"depths": (1, 2), "hidden_sizes": (8, 16), "fully_connected_size": 32},
    )
)
