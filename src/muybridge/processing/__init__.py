"""Frames become what models take: resize, crop, normalise, views, augmentation; in plain torch.

- `video_processing`, `image_processing`: the base processors, subclassed with numbers by each architecture.
- `inputs`: what can be handed to them. `settings`: how their arguments are checked. `clips`: which frames
  of a video they take. `steps`: what they do to frames and images alike.
- `functional`: the arithmetic. `augmentation`: random changes of training clips.
"""

from muybridge.processing import functional
from muybridge.processing.augmentation import (
    ClipTransform,
    ColorJitter,
    Compose,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
)
from muybridge.processing.image_processing import ImageProcessor, ImageProcessorKwargs
from muybridge.processing.video_processing import VideoProcessor, VideoProcessorKwargs

__all__ = [
    "ClipTransform",
    "ColorJitter",
    "Compose",
    "ImageProcessor",
    "ImageProcessorKwargs",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "VideoProcessor",
    "VideoProcessorKwargs",
    "functional",
]
