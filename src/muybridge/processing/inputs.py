"""What people hand to a processor, sorted into files to be decoded and tensors (T, C, H, W), or (S,) of sound.

One video is a path, an address, bytes, a file object, a `{"path": …, "bytes": …}` of `datasets`, an open
reader, a 4-D tensor or array, or a list of frames. Several are a 5-D tensor or array, or a list of
these. A list of strings is a list of videos; a list of lists of strings names each video's image files.

Channels are first or last: `input_data_format` says which, or else `infer_data_format` does.

One sound is a file that has one, or its samples: a 1-D tensor or array. Several are a 2-D tensor or array, or a list.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from transformers.image_utils import load_image

from muybridge.video import Reader

# What a reader opens, and a reader itself.
VideoSource = str | Path | bytes | BinaryIO | Reader

CHANNELS_FIRST = "channels_first"
CHANNELS_LAST = "channels_last"


def as_videos(videos: Any, input_data_format: str | None = None) -> list[VideoSource | Tensor]:
    """One entry a video: a source for a reader, or the frames (T, C, H, W) themselves."""
    if is_array(videos) and videos.ndim == 5:
        return list(channels_first(as_tensor(videos), input_data_format))
    if is_list(videos) and not is_frame(_first_of(videos, "videos")):
        return [_as_video(video, input_data_format) for video in videos]
    return [_as_video(videos, input_data_format)]


def _as_video(video: Any, input_data_format: str | None) -> VideoSource | Tensor:
    if is_list(video):
        return _stacked([as_image(frame, input_data_format) for frame in video])
    if is_array(video):
        if video.ndim != 4:
            raise ValueError(
                f"a video of shape {tuple(video.shape)} was given; it must be (T, C, H, W) or (T, H, W, C), "
                f"and several videos of equal size (B, T, C, H, W) or (B, T, H, W, C)"
            )
        return channels_first(as_tensor(video), input_data_format)
    if isinstance(video, Reader):
        return video
    return as_source(video, "a video")


def as_sounds(sounds: Any) -> list[VideoSource | Tensor]:
    """One entry a sound: a source for a reader, or the samples (S,) themselves, as float32."""
    if is_array(sounds) and sounds.ndim == 2:
        return [_as_sound(sound) for sound in sounds]
    if is_list(sounds):
        _first_of(sounds, "sounds")
        return [_as_sound(sound) for sound in sounds]
    return [_as_sound(sounds)]


def _as_sound(sound: Any) -> VideoSource | Tensor:
    if isinstance(sound, Reader):
        return sound
    if not is_array(sound):
        return as_source(sound, "a sound")
    samples = torch.as_tensor(sound)
    if samples.ndim != 1 or not samples.is_floating_point():
        raise ValueError(
            f"{samples.dtype} of shape {tuple(samples.shape)} was given as sound; it must be floats (S,) in [-1, 1], "
            "of one channel"
        )
    return samples.float()


def as_images(images: Any, input_data_format: str | None = None) -> list[Tensor]:
    """One tensor (C, H, W) an image, from one image or a list, whatever they are given as."""
    if is_array(images) and images.ndim == 4:
        return list(channels_first(as_tensor(images), input_data_format))
    if is_list(images):
        _first_of(images, "images")
        return [as_image(image, input_data_format) for image in images]
    return [as_image(images, input_data_format)]


def as_image(image: Any, input_data_format: str | None = None) -> Tensor:
    """An image (C, H, W) from a PIL image, an array, a path, an address, bytes or a file object.

    Files and PIL images are turned upright as their EXIF data says, and converted to RGB.
    """
    if is_array(image):
        if image.ndim == 2:
            return as_tensor(image)[None]
        if image.ndim != 3:
            raise ValueError(
                f"an image of shape {tuple(image.shape)} was given; it must be (C, H, W), (H, W, C) or (H, W)"
            )
        return channels_first(as_tensor(image), input_data_format)
    upright = ImageOps.exif_transpose(_as_pil(image))
    return torch.from_numpy(np.array(upright.convert("RGB"))).permute(2, 0, 1)


def _as_pil(image: Any) -> Image.Image:
    if isinstance(image, Image.Image):
        return image
    source = as_source(image, "an image")
    if isinstance(source, bytes):
        return Image.open(io.BytesIO(source))
    if isinstance(source, str) and source.startswith(("http://", "https://")):
        return load_image(source)
    return Image.open(source)


def as_source(value: Any, what: str) -> str | Path | bytes | BinaryIO:
    """A path, an address, bytes or a file object, taken out of the dict in which `datasets` wraps it."""
    if isinstance(value, Mapping) and ("bytes" in value or "path" in value):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str | Path | bytes) or hasattr(value, "read"):
        return value
    raise TypeError(
        f"{type(value).__name__} was given as {what}; it must be a path, an address, bytes, a file object, "
        f'a {{"path": …, "bytes": …}}, a tensor or an array (see muybridge.processing.inputs)'
    )


def is_array(value: Any) -> bool:
    return isinstance(value, Tensor | np.ndarray)


def is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def is_frame(value: Any) -> bool:
    """Whether a list of such values is one video."""
    return isinstance(value, Image.Image) or (is_array(value) and value.ndim <= 3)


def _first_of(values: Sequence[Any], name: str) -> Any:
    if not values:
        raise ValueError(f"the list of {name} is empty")
    return values[0]


def _stacked(frames: Sequence[Tensor]) -> Tensor:
    _first_of(frames, "frames")
    shapes = {tuple(frame.shape) for frame in frames}
    if len(shapes) > 1:
        raise ValueError(f"the frames of a video must have one shape; these have {sorted(shapes)}")
    return torch.stack(list(frames))


def as_tensor(values: Tensor | np.ndarray) -> Tensor:
    """Frames as uint8, or as float32 for any kind of float."""
    # An array that cannot be written to would make a tensor that can; one that runs backwards, none at all.
    tensor = values if isinstance(values, Tensor) else torch.from_numpy(np.require(values, requirements=["C", "W"]))
    if tensor.dtype == torch.uint8:
        return tensor
    if tensor.is_floating_point():
        return tensor.float()
    raise TypeError(f"frames of type {tensor.dtype} were given; they must be uint8 in [0, 255] or float in [0, 1]")


def channels_first(frames: Tensor, input_data_format: str | None = None) -> Tensor:
    """Frames (..., C, H, W), from these or from (..., H, W, C): a view."""
    input_data_format = input_data_format or infer_data_format(tuple(frames.shape))
    if input_data_format not in (CHANNELS_FIRST, CHANNELS_LAST):
        raise ValueError(
            f"input_data_format is {input_data_format!r}; it must be {CHANNELS_FIRST!r} or {CHANNELS_LAST!r}"
        )
    return frames if input_data_format == CHANNELS_FIRST else frames.movedim(-1, -3)


def infer_data_format(shape: tuple[int, ...]) -> str:
    """Where the channels are: the axis, third from last or last, that has 3 entries, or else 1 or 4, or else 2.

    Where both axes have them nothing tells, and asking is better than guessing.
    """
    for counts in ((3,), (1, 4), (2,)):
        first, last = shape[-3] in counts, shape[-1] in counts
        if first and last:
            raise ValueError(
                f"shape {shape} can be read with channels first or last; "
                f"pass input_data_format={CHANNELS_FIRST!r} or {CHANNELS_LAST!r}"
            )
        if first or last:
            return CHANNELS_FIRST if first else CHANNELS_LAST
    raise ValueError(
        f"shape {shape} has no axis of channels: the third from last (…, C, H, W) or the last (…, H, W, C) "
        f"must have 1 to 4 entries"
    )


def to_rgb(frames: Tensor) -> Tensor:
    """Frames (..., 3, H, W): grey is repeated, alpha is dropped; a view."""
    num_channels = frames.shape[-3]
    if num_channels not in (1, 3, 4):
        raise ValueError(f"frames have {num_channels} channels; only 1, 3 and 4 make RGB: pass do_convert_rgb=False")
    if num_channels == 1:
        return frames.expand(*frames.shape[:-3], 3, *frames.shape[-2:])
    return frames[..., :3, :, :]


def check_range(frames: Tensor) -> None:
    """Refuses floats outside [0, 1]: to rescale them would give numbers no network was trained on."""
    if not frames.is_floating_point() or not frames.numel():
        return
    smallest, largest = (extreme.item() for extreme in frames.aminmax())
    # A resize or a colour change may have gone over by a rounding error.
    if not (smallest >= -1e-3 and largest <= 1 + 1e-3):
        raise ValueError(
            f"float frames must lie in [0, 1]; these reach from {smallest:.4g} to {largest:.4g}. Pass uint8 "
            f"for [0, 255]; or do_rescale=False, and do_normalize=False, to leave numbers as they are"
        )
