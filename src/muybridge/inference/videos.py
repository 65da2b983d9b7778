"""A video, whatever it is given as, becomes what a network takes.

Shapes: V views of a video.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from os import PathLike
from typing import Any

from transformers import PreTrainedConfig

from muybridge.data.items import open_readers
from muybridge.data.records import VideoRecord
from muybridge.inference.batches import Inputs
from muybridge.processing import ClipMaker, View
from muybridge.video import Reader

VIEW = "clip"


class VideoLoader:
    """Makes the inputs of a network of a video: a record, or anything else that the processor takes."""

    def __init__(
        self,
        processor: Any,
        arguments: Mapping[str, Any] | None = None,
        stores: Mapping[str, Any] | None = None,
    ) -> None:
        """processor: one of ours, which says what of a video is read.
        arguments: what the processor would be called with beside the video.
        stores: those of the records.
        """
        if not hasattr(processor, "parts"):
            raise TypeError(
                f"the processor is of the type {type(processor).__name__}, which opens no videos; pass a "
                "VideoProcessor, or another one of muybridge.processing, as load_processor gives for a checkpoint"
            )
        self.processor = processor
        self.stores = stores or {}
        self.maker = ClipMaker(processor, {VIEW: View(fields={"do_sample_frames": True, **(arguments or {})})})

    @property
    def num_views(self) -> int:
        """How many views a video has."""
        settings = [part.settings for part in self.maker.parts.values()]
        return max(each.num_clips * getattr(each, "num_crops", 1) for each in settings)

    def __call__(self, video: Any) -> Inputs:
        """The inputs (V, …) of one video, by name."""
        with self.open(video) as readers:
            return self.maker.make_all(readers)[VIEW].inputs

    def open(self, video: Any) -> AbstractContextManager[dict[str, Reader]]:
        """What is read of a video, by name."""
        if isinstance(video, VideoRecord):
            return open_readers(video, self.stores, self.maker)
        settings = self.maker.parts[self.processor.lead].settings
        # In a list of its own, or a batch would be taken for several videos.
        (source,) = self.processor.sort_sources([video], settings)
        return self.maker.open(source)


def name_video(video: Any) -> Any:
    """How errors call a video: by its name or its path, where it has one."""
    if isinstance(video, VideoRecord):
        return video.name
    return str(video) if isinstance(video, str | PathLike) else None


def count_frames(config: PreTrainedConfig, processor: Any) -> dict[str, int]:
    """The processor's argument for as many frames as the network takes.

    Nothing where the config has no number of frames, nor where several inputs have their own.
    """
    num_frames = getattr(config, "num_frames", None)
    has_several = len(getattr(processor, "parts", ())) > 1
    return {} if num_frames is None or has_several else {"num_frames": num_frames}


def get_stores(videos: Any) -> Mapping[str, Any]:
    """Where the videos of records lie, for those that lie in a data set in memory."""
    return getattr(videos, "stores", {})
