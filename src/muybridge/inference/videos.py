"""A video, whatever it is given as, becomes what a network takes.

Shapes: V views of a video.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

from torch import Tensor
from transformers import PreTrainedConfig
from transformers.video_processing_utils import VideoProcessorMixin

from muybridge.data.items import open_readers
from muybridge.data.records import VideoRecord, open_clip
from muybridge.inference.batches import Inputs
from muybridge.processing import ClipMaker, ClipProcessor, JointProcessor, View


@dataclass(frozen=True)
class VideoLoader:
    """Makes the inputs of a network of a video: a record, or anything else that the processor takes.

    `arguments` are what the processor is called with beside the video. `stores` are those of the records.
    """

    processor: VideoProcessorMixin
    arguments: Mapping[str, Any] = field(default_factory=dict)
    stores: Mapping[str, Any] = field(default_factory=dict)

    @property
    def num_views(self) -> int:
        own = {name: getattr(self.processor, name, 1) for name in ("num_clips", "num_crops")}
        return math.prod(self.arguments.get(name, number) for name, number in own.items())

    def __call__(self, video: Any) -> Inputs:
        """The inputs (V, …) of one video, by name."""
        with open_video(video, self.stores, self.processor) as source:
            # In a list of its own, or a batch would be taken for the views of one video.
            batch = self.processor([source], return_tensors="pt", do_sample_frames=True, **self.arguments)
        inputs = {name: values for name, values in batch.items() if isinstance(values, Tensor)}
        # A processor leaves out the axis of a single view.
        return inputs if self.num_views == 1 else {name: values[0] for name, values in inputs.items()}


@contextmanager
def open_video(video: Any, stores: Mapping[str, Any], processor: VideoProcessorMixin) -> Iterator[Any]:
    """What a processor takes: readers of a record; anything else as it is."""
    if not isinstance(video, VideoRecord):
        yield video
    elif isinstance(processor, ClipProcessor | JointProcessor):
        with open_readers(video, stores, ClipMaker(processor, {"clip": View()})) as readers:
            yield readers if isinstance(processor, JointProcessor) else readers[processor.source]
    else:
        with open_clip(video, stores) as reader:
            yield reader


def name_video(video: Any) -> Any:
    """How errors call a video: by its name or its path, where it has one."""
    if isinstance(video, VideoRecord):
        return video.name
    return str(video) if isinstance(video, str | PathLike) else None


def count_frames(config: PreTrainedConfig) -> dict[str, int]:
    """The processor's argument for as many frames as the network takes, where its config has a number of them."""
    num_frames = getattr(config, "num_frames", None)
    return {} if num_frames is None else {"num_frames": num_frames}


def get_stores(videos: Any) -> Mapping[str, Any]:
    """Where the videos of records lie, for those that lie in a data set in memory."""
    return getattr(videos, "stores", {})
