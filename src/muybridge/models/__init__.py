"""`pixel_values` and `pixel_values_videos` become features and logits: one folder an architecture.

Importing this package registers every architecture with transformers' Auto classes.
"""

from muybridge.models import c3d, fusion_cnn, video_resnet
from muybridge.models.registry import ARCHITECTURES, Architecture, ImageArchitecture, VideoArchitecture

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "ImageArchitecture",
    "VideoArchitecture",
    "c3d",
    "fusion_cnn",
    "video_resnet",
]
