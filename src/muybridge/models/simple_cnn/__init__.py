import lazy_loader

from muybridge.models.registry import Architecture, Paper, register
from muybridge.models.simple_cnn.tiny import TINY_LAYERS

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register(
    Architecture(
        name="simple_cnn",
        title="Small CNN of listed layers",
        prefix="SimpleCNN",
        package=__name__,
        task="image-classification",
        input_size="64×64",
        papers=[
            Paper(
                "Gradient-Based Learning Applied to Document Recognition",
                "LeCun, Bottou, Bengio, Haffner",
                1998,
                "https://doi.org/10.1109/5.726791",
            )
        ],
        tiny={"layers": TINY_LAYERS},
    )
)
