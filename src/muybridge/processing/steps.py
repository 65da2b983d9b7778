"""What is done to frames and images alike, as a processor's settings say."""

from collections.abc import Sequence
from types import SimpleNamespace

from torch import Tensor

from muybridge.processing import functional, inputs
from muybridge.processing.settings import exact_size, interpolation_of, target_size


def prepared(frames: Tensor, settings: SimpleNamespace) -> Tensor:
    """Frames (..., C, H, W) on their device, in RGB and resized."""
    if settings.device is not None:
        frames = frames.to(settings.device)
    if settings.do_convert_rgb:
        frames = inputs.to_rgb(frames)
    if settings.do_rescale:
        inputs.check_range(frames)
    if settings.do_resize:
        interpolation = interpolation_of(settings.resample)
        frames = functional.resize(frames, target_size(settings.size), interpolation, antialias=settings.antialias)
    return frames


def cropped(frames: Tensor, settings: SimpleNamespace) -> Tensor:
    """The crops (V, ..., C, H, W) of frames."""
    if settings.do_center_crop:
        return functional.crops(frames, exact_size(settings.crop_size), settings.num_crops)
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
        frames, rescale_factor=factor, mean=_as_sequence(mean), std=_as_sequence(std), out=out
    )


def _as_sequence(value: float | Sequence[float]) -> Sequence[float]:
    return value if isinstance(value, Sequence) else (value,)


def shape_of_views(crops: Sequence[Tensor]) -> tuple[int, ...]:
    """The shape (C, H, W) that all crops have."""
    shapes = {tuple(each.shape[-3:]) for each in crops}
    if len(shapes) > 1:
        raise ValueError(
            f"resized and cropped, they have the shapes {sorted(shapes)} and cannot make a batch; "
            f"use do_center_crop=True, or a size of height and width"
        )
    return shapes.pop()
