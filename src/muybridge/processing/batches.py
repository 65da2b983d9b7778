"""Videos become a batch: what every processor of clips does when it is called."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.image_processing_base import BatchFeature
from transformers.video_utils import VideoMetadata

from muybridge.processing.clip_maker import ClipMaker, View
from muybridge.processing.parts import PartedProcessor
from muybridge.types import Clip
from muybridge.video import MemoryReader, Reader


def preprocess(processor: PartedProcessor, videos: Any, arguments: Mapping[str, Any]) -> BatchFeature:
    """What a processor gives for videos: the batch of their fixed views."""
    maker = ClipMaker(processor, {"clip": View(fields=arguments)})
    lead = maker.parts[processor.lead]
    sources = processor.sort_sources(videos, lead.settings)
    made, metadata = [], []
    for source, fps in zip(sources, _find_rates(lead.settings.video_metadata, len(sources)), strict=True):
        with maker.open(source, fps=fps) as readers:
            made.append(maker.make_all(readers)["clip"])
            metadata.append(_describe(readers[lead.processor.source], made[-1].clips[processor.lead]))
    batch = {name: _stack([each.inputs[name] for each in made], name) for name in made[0].inputs}
    features = {name: value[:, 0] if value.shape[1] == 1 else value for name, value in batch.items()}
    result = BatchFeature(features, tensor_type=lead.settings.return_tensors)
    if lead.settings.return_metadata:
        result["video_metadata"] = metadata
    return result


def _stack(videos: Sequence[Tensor], name: str) -> Tensor:
    """Views (V, T, ...) of videos as a batch; the last frame of shorter ones is repeated, and no mask calls it real."""
    if len(videos) == 1:
        return videos[0][None]
    shapes = {tuple(video.shape[2:]) for video in videos}
    if len(shapes) > 1:
        raise ValueError(
            f"resized and cropped, they have the shapes {sorted(shapes)} and cannot make a batch; "
            f"use do_center_crop=True, or a size of height and width"
        )
    longest = max(video.shape[1] for video in videos)
    return torch.stack([_hold(video, longest, is_mask=name == "frame_mask") for video in videos])


def _hold(video: Tensor, length: int, *, is_mask: bool) -> Tensor:
    missing = length - video.shape[1]
    if not missing:
        return video
    last = torch.zeros_like(video[:, -1:]) if is_mask else video[:, -1:]
    return torch.cat([video, last.expand(-1, missing, *last.shape[2:])], dim=1)


def _describe(reader: Reader, clips: Sequence[Clip]) -> VideoMetadata:
    """What transformers tells of a video, with the frames of the only clip, or of each."""
    known = reader.metadata
    indices = [clip.indices.tolist() for clip in clips]
    is_file = not isinstance(reader, MemoryReader)
    return VideoMetadata(
        len(reader),
        fps=known.fps,
        height=getattr(known, "height", None),
        width=getattr(known, "width", None),
        duration=known.duration_seconds if is_file else None,
        video_backend="pyav" if is_file else None,
        frames_indices=indices[0] if len(indices) == 1 else indices,
    )


def _find_rates(video_metadata: Any, num_videos: int) -> list[float | None]:
    """The frame rate of each video that is handed in as frames, as far as its metadata tells."""
    if video_metadata is None:
        return [None] * num_videos
    entries = [video_metadata] if isinstance(video_metadata, Mapping) else list(video_metadata)
    if len(entries) != num_videos:
        raise ValueError(f"video_metadata has {len(entries)} entries for {num_videos} videos; give one for each")
    return [entry.get("fps") for entry in entries]
