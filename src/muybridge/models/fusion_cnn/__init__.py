import lazy_loader

from muybridge.models.registry import Architecture, Paper, register

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register(
    Architecture(
        name="fusion_cnn",
        title="Single frame, early, late and slow fusion",
        prefix="FusionCNN",
        package=__name__,
        input_size="10×170×170",
        papers=[
            Paper(
                "Large-scale Video Classification with Convolutional Neural Networks",
                "Karpathy, Toderici, Shetty, Leung, Sukthankar, Fei-Fei",
                2014,
                "https://cs.stanford.edu/people/karpathy/deepvideo",
            )
        ],
        tiny={
            "streams": "both",
            "hidden_sizes": (8, 12, 16),
            "kernel_sizes": (5, 3, 3),
            "stem_stride": 2,
            "fusion_frames": (2, 2),
            "fusion_strides": (2, 1),
            "num_frames": 4,
            "fully_connected_size": 32,
        },
    )
)
