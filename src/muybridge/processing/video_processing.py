"""Videos become `pixel_values_videos`: sampled, resized, cropped, normalised.

Shapes: B videos, V views of each, U frames that any view needs, T frames of a view, C channels, H×W pixels.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from PIL.Image import Resampling
from torch import Tensor
from transformers.image_processing_base import BatchFeature
from transformers.processing_utils import VideosKwargs
from transformers.video_processing_utils import VideoProcessorMixin
from transformers.video_utils import VideoMetadata

from muybridge.processing.clips import choose_clips, masks_of, of_equal_length, shared_frames, whole_clip
from muybridge.processing.inputs import VideoSource, as_videos
from muybridge.processing.settings import CheckedProcessor, target_size
from muybridge.processing.steps import cropped, prepared, shape_of_views, write_pixel_values
from muybridge.types import Clip, Protocol
from muybridge.video import VideoReader
from muybridge.video.conversion import resized_size


class VideoProcessorKwargs(VideosKwargs, total=False):  # type: ignore[call-arg]
    """Our arguments beside transformers'.

    sampling: how `num_frames` frames are chosen. "uniform": spread over the video. "dense": `frame_stride`
        apart, in the middle of the video. "segments": one in the middle of each of `num_frames` equal parts.
        "strided": every n-th from the first on, n being the whole part of how often `num_frames` go into the video.
    frame_stride: how far the frames of a dense clip lie apart, counted at `fps` where that is set.
    fps: with "dense", or without `num_frames`, the rate to which the video is resampled first. Frames handed
        in as tensors are taken to have it already, unless `video_metadata` gives their own `fps`.
    num_clips: clips over the whole video. "dense": evenly, the first at its start and the last at its end.
        "uniform": interleaved, so that together they see `num_clips` times as many frames.
    num_crops: 1 (the middle), 3 (along the longer side), 5 (corners and middle), 10 (the five, and mirrored).
    channel_order: "rgb" or "bgr"; `image_mean` and `image_std` are in the same order.
    return_mask: adds `frame_mask`, False where a short video's last frame was repeated.
    antialias: False leaves out pixels where it shrinks frames, as OpenCV does, and resizes after decoding.
    resize_while_decoding: files are resized by the decoder's own scaler while it converts colours: faster on
        large frames, and not quite what resizing afterwards gives. On 12 clips of UCF101, HMDB51 and Kinetics, at
        three sizes, the two lie 1.2 of 255 levels apart on average, 99 % of the values within 11, single
        ones up to 31. With False a file gives what its frames give as a tensor.
    """

    frame_stride: int | float
    sampling: Literal["uniform", "dense", "segments", "strided"]
    num_clips: int
    num_crops: int
    channel_order: Literal["rgb", "bgr"]
    return_mask: bool
    antialias: bool
    resize_while_decoding: bool


class SampledVideo(NamedTuple):
    """The frames (U, C, H, W) that clips need, resized, and the clips as indices into them."""

    frames: Tensor
    clips: list[Clip]
    metadata: VideoMetadata


class VideoProcessor(CheckedProcessor, VideoProcessorMixin):
    """Videos of any kind to `pixel_values_videos`; an architecture's processor is a subclass with numbers.

    - What can be handed in: see `muybridge.processing.inputs`.
    - The result is (B, T, C, H, W), or (B, V, T, C, H, W) where there are several views, `num_clips` times
      `num_crops`: every crop of the first clip, then of the second.
    - A tensor, array or list of exactly `num_frames` frames is a clip already, and is not sampled again;
      `do_sample_frames=False` takes all frames of anything.
    - A video shorter than its clip has its last frame repeated, and so have the shorter ones of a batch taken
      whole; `frame_mask` says where.
    - Rescaling takes uint8 as [0, 255] and floats as [0, 1]: the same frames give the same pixel values.
      Floats outside [0, 1] are refused. With `do_rescale=False` numbers are left as they are.
    """

    valid_kwargs = VideoProcessorKwargs
    model_input_names = ["pixel_values_videos"]

    do_sample_frames = True
    sampling = "uniform"
    num_frames = 16
    frame_stride = 1
    fps: float | None = None
    num_clips = 1
    do_convert_rgb = True
    do_resize = True
    size: Mapping[str, int] = {"shortest_edge": 256}
    resample = Resampling.BILINEAR
    antialias = True
    resize_while_decoding = True
    do_center_crop = True
    crop_size: Mapping[str, int] = {"height": 224, "width": 224}
    num_crops = 1
    channel_order = "rgb"
    do_rescale = True
    do_normalize = True
    image_mean: Sequence[float] = (0.485, 0.456, 0.406)
    image_std: Sequence[float] = (0.229, 0.224, 0.225)
    return_mask = False

    @classmethod
    def size_fields(cls, side: int) -> dict[str, Mapping[str, int]]:
        """What makes it give frames of side×side: squeezed where the class squeezes its own, or else cropped."""
        own, square = dict(cls.crop_size), {"height": side, "width": side}
        if own == square:
            return {}
        return {"size": square if dict(cls.size) == own else {"shortest_edge": side}, "crop_size": square}

    def preprocess(self, videos: Any, **kwargs: Any) -> BatchFeature:
        settings = self.settings(kwargs)
        Protocol(settings.num_clips, settings.num_crops)  # refuses numbers of views that cannot be
        sources = as_videos(videos, settings.input_data_format)
        rates = _known_rates(settings.video_metadata, len(sources))
        sampled = [sample(source, settings, fps) for source, fps in zip(sources, rates, strict=True)]
        clips = of_equal_length([video.clips for video in sampled])
        views = _views([video.frames for video in sampled], clips, settings)
        has_one_view = views.shape[1] == 1
        features = {self.model_input_names[0]: views[:, 0] if has_one_view else views}
        if settings.return_mask:
            masks = masks_of(clips, settings.num_crops).to(views.device)
            features["frame_mask"] = masks[:, 0] if has_one_view else masks
        batch = BatchFeature(features, tensor_type=settings.return_tensors)
        if settings.return_metadata:
            batch["video_metadata"] = [video.metadata for video in sampled]
        return batch


def sample(video: VideoSource | Tensor, settings: SimpleNamespace, known_fps: float | None = None) -> SampledVideo:
    """The frames that the settings ask for, decoded once each and resized."""
    if isinstance(video, Tensor):
        return _sample_frames(video, settings, known_fps)
    with _opened(video) as reader:
        return _sample_file(reader, settings)


def _sample_frames(frames: Tensor, settings: SimpleNamespace, known_fps: float | None) -> SampledVideo:
    total = len(frames)
    if total == settings.num_frames and settings.do_sample_frames:
        clips = [whole_clip(total)] * settings.num_clips
    else:
        clips = choose_clips(total, known_fps, settings)
    needed, shared = shared_frames(clips)
    height, width = frames.shape[-2:]
    metadata = VideoMetadata(total, fps=known_fps, height=height, width=width, frames_indices=_indices(clips))
    chosen = frames if len(needed) == total else frames[torch.from_numpy(needed).to(frames.device)]
    return SampledVideo(prepared(chosen, settings), shared, metadata)


def _sample_file(reader: VideoReader, settings: SimpleNamespace) -> SampledVideo:
    total = len(reader)  # what makes the reader's metadata exact
    known = reader.metadata
    edges_seconds = np.append(reader.frame_seconds, float(reader.index.duration_seconds))
    clips = choose_clips(total, known.fps, settings, edges_seconds)
    needed, shared = shared_frames(clips)
    metadata = VideoMetadata(
        total,
        fps=known.fps,
        height=known.height,
        width=known.width,
        duration=known.duration_seconds,
        video_backend="pyav",
        frames_indices=_indices(clips),
    )
    frames = reader.frames_at(needed, size=_decoding_size(known.height, known.width, settings))
    return SampledVideo(prepared(frames, settings), shared, metadata)


def _decoding_size(height: int, width: int, settings: SimpleNamespace) -> tuple[int, int] | None:
    """The size to which the decoder is to scale; None where frames are resized later, or not at all."""
    is_bilinear = settings.resample == Resampling.BILINEAR
    if not (settings.do_resize and settings.resize_while_decoding and is_bilinear and settings.antialias):
        return None
    return resized_size(height, width, target_size(settings.size))


@contextmanager
def _opened(source: VideoSource) -> Iterator[VideoReader]:
    """A reader of the source; one that was handed in stays open, as it is its owner's."""
    if isinstance(source, VideoReader):
        yield source
        return
    with VideoReader(source) as reader:
        yield reader


def _indices(clips: Sequence[Clip]) -> list[Any]:
    """The frames of the only clip, or of each."""
    lists = [clip.indices.tolist() for clip in clips]
    return lists[0] if len(lists) == 1 else lists


def _known_rates(video_metadata: Any, num_videos: int) -> list[float | None]:
    """The frame rate of each video that is handed in as frames, as far as its metadata tells."""
    if video_metadata is None:
        return [None] * num_videos
    entries = [video_metadata] if isinstance(video_metadata, Mapping) else list(video_metadata)
    if len(entries) != num_videos:
        raise ValueError(f"video_metadata has {len(entries)} entries for {num_videos} videos; give one for each")
    return [entry.get("fps") for entry in entries]


def _views(
    frames_of_videos: Sequence[Tensor], clips_of_videos: Sequence[Sequence[Clip]], settings: SimpleNamespace
) -> Tensor:
    """The views (B, V, T, C, H, W): every crop of the first clip, then of the second."""
    crops_of_videos = [cropped(frames, settings) for frames in frames_of_videos]
    first, num_clips = crops_of_videos[0], len(clips_of_videos[0])
    num_frames = len(clips_of_videos[0][0])
    shape = (len(crops_of_videos), num_clips * len(first), num_frames, *shape_of_views(crops_of_videos))
    views = torch.empty(shape, dtype=torch.float32, device=first.device)
    for video_views, crops, clips in zip(views, crops_of_videos, clips_of_videos, strict=True):
        for index, view in enumerate(video_views):
            clip = clips[index // len(crops)]
            positions = torch.from_numpy(clip.indices).to(crops.device)
            write_pixel_values(crops[index % len(crops)][positions], settings, out=view)
    return views
