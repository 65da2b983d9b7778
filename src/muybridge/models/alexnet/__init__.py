import lazy_loader

from muybridge.models.registry import Architecture, Paper, register

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register(
    Architecture(
        name="alexnet",
        title="AlexNet",
        prefix="AlexNet",
        package=__name__,
        task="image-classification",
        input_size="227×227",
        papers=[
            Paper(
                "ImageNet Classification with Deep Convolutional Neural Networks",
                "Krizhevsky, Sutskever, Hinton",
                2012,
                "https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks",
            ),
            Paper(
                "One weird trick for parallelizing convolutional neural networks",
                "Krizhevsky",
                2014,
                "https://arxiv.org/abs/1404.5997",
            ),
        ],
        tiny={
            "hidden_sizes": (8, 12, 16, 16, 8),
            "kernel_sizes": (5, 3, 3, 3, 3),
            "strides": (2, 1, 1, 1, 1),
            "paddings": (2, 1, 1, 1, 1),
            "fully_connected_sizes": (24, 20),
            "fully_connected_dropouts": (0.0, 0.0),
        },
    )
)
