"""What a reader gives becomes what a model takes: which frames, which changes, which numbers; in plain torch.

- `clip_maker`: `ClipMaker` makes named views of a clip, for training and evaluation alike. `batches`: what every
  processor does when it is called. `parts`: how several inputs are kept in step.
- `video_processing`, `flow_processing`, `sound_processing`, `joint_processing`: the processors, subclassed with numbers
  by each architecture; `clip_processor` and `picture_processor` are what these share. `image_processing`: images.
- `changes`: random changes, and the deterministic ones that they draw. `functional`: the arithmetic.
- `inputs`: what can be handed in. `settings`: how arguments are checked. `frame_selection`: which frames are taken.
  `steps`: what is done to frames and images alike. `registry`: processors by name.
"""

from muybridge.processing import functional
from muybridge.processing.changes import (
    Change,
    ColorJitter,
    Compose,
    Manner,
    RandomChange,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    make_training_changes,
)
from muybridge.processing.clip_maker import ClipMaker, View
from muybridge.processing.clip_processor import ClipProcessor
from muybridge.processing.flow_processing import FlowProcessor, FlowProcessorKwargs
from muybridge.processing.image_processing import ImageProcessor, ImageProcessorKwargs
from muybridge.processing.joint_processing import JointProcessor
from muybridge.processing.registry import register_processor
from muybridge.processing.sound_processing import SoundProcessor, SoundProcessorKwargs
from muybridge.processing.video_processing import VideoProcessor, VideoProcessorKwargs

__all__ = [
    "Change",
    "ClipMaker",
    "ClipProcessor",
    "ColorJitter",
    "Compose",
    "FlowProcessor",
    "FlowProcessorKwargs",
    "ImageProcessor",
    "ImageProcessorKwargs",
    "JointProcessor",
    "Manner",
    "RandomChange",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "SoundProcessor",
    "SoundProcessorKwargs",
    "VideoProcessor",
    "VideoProcessorKwargs",
    "View",
    "functional",
    "make_training_changes",
    "register_processor",
]
