"""What I3D's Kinetics weights expect, on frames and on optical flow."""

from typing import Any

import torch
from torch import Tensor
from transformers.image_processing_base import BatchFeature

from muybridge.processing import VideoProcessor, functional
from muybridge.processing.inputs import CHANNELS_FIRST, VideoSource, as_videos
from muybridge.processing.settings import interpolation_of, target_size
from muybridge.processing.video_processing import VideoProcessorKwargs


class I3DVideoProcessorKwargs(VideoProcessorKwargs, total=False):  # type: ignore[call-arg]
    """One argument more.

    flow_bound: where it is set, what is handed in is not frames but optical flow: how many pixels things move to the
        right and down between a frame and the next, as floats (T, 2, H, W) or (T, H, W, 2). It is cut off at
        ±flow_bound and divided by it. Flow that is resized is made longer or shorter with its frames.
    """

    flow_bound: float | None


class I3DVideoProcessor(VideoProcessor):
    valid_kwargs = I3DVideoProcessorKwargs

    size = {"shortest_edge": 256}
    crop_size = {"height": 224, "width": 224}
    image_mean = [0.5, 0.5, 0.5]
    image_std = [0.5, 0.5, 0.5]
    num_frames = 64
    sampling = "dense"
    fps = 25
    flow_bound: float | None = None

    def preprocess(self, videos: Any, **kwargs: Any) -> BatchFeature:
        settings = self.settings(kwargs)
        if settings.flow_bound is None:
            return super().preprocess(videos, **kwargs)
        if not settings.flow_bound > 0:
            raise ValueError(f"flow_bound is {settings.flow_bound}; it must be positive, or None for frames")
        flows = [as_flow(video) for video in as_videos(videos, settings.input_data_format)]
        if settings.do_resize:
            size, interpolation = target_size(settings.size), interpolation_of(settings.resample)
            flows = [resize_flow(flow, size, interpolation) for flow in flows]
        bounded = [flow.clamp(-settings.flow_bound, settings.flow_bound) / settings.flow_bound for flow in flows]
        done = dict.fromkeys(("do_convert_rgb", "do_resize", "do_rescale", "do_normalize"), False)
        return super().preprocess(bounded, **{**kwargs, **done, "input_data_format": CHANNELS_FIRST})


def as_flow(video: VideoSource | Tensor) -> Tensor:
    """Flow (T, 2, H, W) that was handed in as such; it is not computed here."""
    if not isinstance(video, Tensor):
        raise ValueError(
            f"a video ({type(video).__name__}) was given to a processor of optical flow, which does not compute it: "
            "compute the flow between its frames first, and pass floats (T, 2, H, W) in pixels"
        )
    if video.shape[-3] != 2 or not video.is_floating_point():
        raise ValueError(
            f"{video.dtype} of shape {tuple(video.shape)} was given as optical flow; it must be floats (T, 2, H, W) in "
            "pixels"
        )
    return video


def resize_flow(flow: Tensor, size: int | tuple[int, int], interpolation: str) -> Tensor:
    """Flow of frames that are resized: there are other pixels, and things move by more or fewer of them."""
    resized = functional.resize(flow, size, interpolation)
    ratios = [resized.shape[axis] / flow.shape[axis] for axis in (-1, -2)]  # to the right, then down
    return resized * torch.tensor(ratios, device=flow.device).view(2, 1, 1)
