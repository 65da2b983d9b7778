import lazy_loader

from muybridge.models.registry import Architecture, Paper, register

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register(
    Architecture(
        name="i3d",
        title="I3D",
        prefix="I3D",
        package=__name__,
        input_size="64×224×224",
        papers=[
            Paper(
                "Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset",
                "Carreira, Zisserman",
                2017,
                "https://arxiv.org/abs/1705.07750",
            )
        ],
        inflated_from="googlenet",
        tiny={"num_frames": 16, "width_multiplier": 1 / 8},
    )
)
