import lazy_loader

from muybridge.models.registry import Architecture, Paper, register

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register(
    Architecture(
        name="googlenet",
        title="GoogLeNet",
        prefix="GoogLeNet",
        package=__name__,
        task="image-classification",
        input_size="224×224",
        processor_place="muybridge.models.layers.image_processing_imagenet:ImageNetImageProcessor",
        papers=[
            Paper(
                "Going Deeper with Convolutions",
                "Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich",
                2014,
                "https://arxiv.org/abs/1409.4842",
            )
        ],
        tiny={
            "stem_sizes": (8, 8, 12),
            "inception_sizes": ((4, 4, 6, 2, 4, 2),) * 5,
            "depths": (1, 3, 1),
            "head": {"sizes": (4, 8), "auxiliary_dropout": 0.0},
        },
    )
)
