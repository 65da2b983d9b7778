"""`pixel_values` and `pixel_values_videos` become features and logits: one folder an architecture.

Importing this package registers every architecture with transformers' Auto classes.
"""

from muybridge.models import (
    alexnet,
    c3d,
    cnn_m,
    ensemble,
    frame_pooling,
    fusion_cnn,
    googlenet,
    i3d,
    lrcn,
    resnet,
    simple_cnn,
    vgg,
    video_resnet,
    zfnet,
)
from muybridge.models.registry import ARCHITECTURES, Architecture, ImageArchitecture, VideoArchitecture

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "ImageArchitecture",
    "VideoArchitecture",
    "alexnet",
    "c3d",
    "cnn_m",
    "ensemble",
    "frame_pooling",
    "fusion_cnn",
    "googlenet",
    "i3d",
    "lrcn",
    "resnet",
    "simple_cnn",
    "vgg",
    "video_resnet",
    "zfnet",
]
