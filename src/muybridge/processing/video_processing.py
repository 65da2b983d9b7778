"""Videos become `pixel_values_videos`: sampled, resized, cropped, normalised."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Literal

from PIL.Image import Resampling
from torch import Tensor

from muybridge.processing.functional import Modality
from muybridge.processing.parts import Span
from muybridge.processing.picture_processor import PictureProcessor, PictureProcessorKwargs
from muybridge.processing.registry import register_processor
from muybridge.processing.settings import to_target_size
from muybridge.processing.steps import prepare_frames, write_pixel_values
from muybridge.video import Reader, SegmentReader, VideoReader
from muybridge.video.geometry import Size, resized_size
from muybridge.video.source import Source


class VideoProcessorKwargs(PictureProcessorKwargs, total=False):  # type: ignore[call-arg]
    """What frames have and flow has not.

    channel_order: "rgb" or "bgr"; `image_mean` and `image_std` are in the same order.
    resize_while_decoding: files are resized by the decoder's own scaler while it converts colours: faster on
        large frames, and not quite what resizing afterwards gives. On 12 clips of UCF101, HMDB51 and Kinetics, at
        three sizes, the two lie 1.2 of 255 levels apart on average, 99 % of the values within 11, single
        ones up to 31. With False a file gives what its frames give as a tensor.
    """

    channel_order: Literal["rgb", "bgr"]
    resize_while_decoding: bool


@register_processor
class VideoProcessor(PictureProcessor):
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
    modality: Modality = "video"

    do_convert_rgb = True
    resize_while_decoding = True
    channel_order = "rgb"
    do_rescale = True
    do_normalize = True
    image_mean: Sequence[float] = (0.485, 0.456, 0.406)
    image_std: Sequence[float] = (0.229, 0.224, 0.225)

    def open_file(self, source: Source, settings: SimpleNamespace, span: Span) -> Reader:  # noqa: ARG002
        if not span.is_segment:
            return VideoReader(source)
        return SegmentReader(source, start_seconds=span.start_seconds or 0.0, end_seconds=span.end_seconds)

    def choose_decoding_size(self, reader: Reader, settings: SimpleNamespace) -> Size | None:
        can_scale = reader.scales_while_decoding and settings.resample == Resampling.BILINEAR and settings.antialias
        if not (settings.do_resize and settings.resize_while_decoding and can_scale):
            return None
        known: Any = reader.metadata
        return resized_size(known.height, known.width, to_target_size(settings.size))

    def prepare(self, frames: Tensor, settings: SimpleNamespace) -> Tensor:
        return prepare_frames(frames, settings)

    def write_values(self, frames: Tensor, settings: SimpleNamespace, out: Tensor) -> None:
        write_pixel_values(frames, settings, out)
