"""Frames become what models take: resize, crop, normalise, views, augmentation; in plain torch.

- `video_processing`, `image_processing`: the base processors, subclassed with numbers by each architecture.
- `inputs`: what can be handed to them. `settings`: how their arguments are checked. `clips`: which frames
  they take.
- `functional`: the arithmetic. `augmentation`: random changes of training clips.
"""

from muybridge.processing import functional
from muybridge.processing.video_processing import VideoProcessor, VideoProcessorKwargs

__all__ = ["VideoProcessor", "VideoProcessorKwargs", "functional"]
