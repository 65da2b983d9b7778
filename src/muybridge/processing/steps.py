"""What is done to frames and images alike, as a processor's settings say."""

from collections.abc import Sequence
from types import SimpleNamespace

from torch import Tensor

from muybridge.processing import functional, inputs
from muybridge.processing.functional import Modality
from muybridge.processing.settings import find_interpolation, require_exact_size, to_target_size


def prepare_frames(frames: Tensor, settings: SimpleNamespace) -> Tensor:
    """Frames (..., C, H, W) on their device, in RGB and resized."""
    if settings.device is not None:
        frames = frames.to(settings.device)
    if settings.do_convert_rgb:
        frames = inputs.to_rgb(frames)
    if settings.do_rescale:
        inputs.check_range(frames)
    return resize_frames(frames, settings)


def resize_frames(frames: Tensor, settings: SimpleNamespace, modality: Modality = "video") -> Tensor:
    """Frames (..., C, H, W) of the size that the settings ask for."""
    if not settings.do_resize:
        return frames
    interpolation = find_interpolation(settings.resample)
    size = to_target_size(settings.size)
    return functional.resize(frames, size, interpolation, antialias=settings.antialias, modality=modality)


def crop_frames(frames: Tensor, settings: SimpleNamespace, modality: Modality = "video") -> Tensor:
    """The crops (V, ..., C, H, W) of frames."""
    if settings.do_center_crop:
        crop_size = require_exact_size(settings.crop_size)
        return functional.make_crops(frames, crop_size, settings.num_crops, modality=modality)
    if settings.num_crops != 1:
        raise ValueError(
            f"num_crops is {settings.num_crops} and do_center_crop False; without a crop_size there is one"
        )
    return frames[None]


def write_pixel_values(frames: Tensor, settings: SimpleNamespace, out: Tensor) -> None:
    """Writes frames to `out` as the model takes them: channels in order, rescaled, normalised."""
    if settings.channel_order == "bgr":
        frames = frames.flip(-3)
    factor = settings.rescale_factor if settings.do_rescale else 1.0
    if settings.do_rescale and frames.is_floating_point():
        factor *= 255  # 1.0 as a float is 255 as a byte
    mean, std = (settings.image_mean, settings.image_std) if settings.do_normalize else (0.0, 1.0)
    functional.rescale_and_normalize(
        frames, rescale_factor=factor, mean=_to_sequence(mean), std=_to_sequence(std), out=out
    )


def _to_sequence(value: float | Sequence[float]) -> Sequence[float]:
    return value if isinstance(value, Sequence) else (value,)


def require_one_shape(crops: Sequence[Tensor]) -> tuple[int, ...]:
    """The shape (C, H, W) that all crops have."""
    shapes = {tuple(each.shape[-3:]) for each in crops}
    if len(shapes) > 1:
        raise ValueError(
            f"resized and cropped, they have the shapes {sorted(shapes)} and cannot make a batch; "
            f"use do_center_crop=True, or a size of height and width"
        )
    return shapes.pop()
