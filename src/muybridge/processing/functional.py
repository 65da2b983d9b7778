"""The arithmetic of preprocessing: deterministic functions on frames, in plain torch, on the frames' device.

Shapes: every function takes (..., C, H, W) and acts the same on all leading axes, so that a clip (T, C, H, W)
is treated alike over time. Frames are uint8 in [0, 255] or float in [0, 1], and keep their type.

Functions that move pixels take a `modality`: optical flow has two channels, how far in pixels things move to the right
(u) and down (v), and these change where frames are resized or mirrored.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from muybridge.video.geometry import Size, resized_size

Modality = Literal["video", "flow"]

INTERPOLATIONS = ("bilinear", "bicubic")
NUM_CROPS = (1, 3, 5, 10)

# What red, green and blue give to lightness, as torchvision has it; PIL's differ in the fourth decimal.
LIGHTNESS_OF_RGB = (0.2989, 0.587, 0.114)


def resize(
    frames: Tensor,
    size: Size,
    interpolation: str = "bilinear",
    *,
    antialias: bool = True,
    modality: Modality = "video",
) -> Tensor:
    """Frames of another size, antialiased; equal to PIL's within one level of 255, two if bicubic.

    Without antialias pixels are left out where frames shrink; equal to OpenCV's bilinear within one level. In resized
    frames things move by more or fewer pixels, and so flow becomes as much longer or shorter.
    """
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"interpolation is {interpolation!r}; it must be one of {', '.join(INTERPOLATIONS)}")
    height, width = resized_size(frames.shape[-2], frames.shape[-1], size)
    if (height, width) == tuple(frames.shape[-2:]):
        return frames
    flat = frames.reshape(-1, *frames.shape[-3:])
    resized = _interpolate(flat, (height, width), interpolation, antialias).reshape(*frames.shape[:-2], height, width)
    if modality == "video":
        return resized
    ratios = [width / frames.shape[-1], height / frames.shape[-2]]  # to the right, then down
    return resized * torch.tensor(ratios, dtype=frames.dtype, device=frames.device).view(2, 1, 1)


def _interpolate(frames: Tensor, size: tuple[int, int], mode: str, antialias: bool) -> Tensor:
    # torch resizes bytes as PIL does, twice to ten times faster than floats, but on the CPU only.
    if frames.dtype == torch.uint8 and frames.device.type != "cpu":
        return _to_uint8(_interpolate(frames.float(), size, mode, antialias).round())
    return F.interpolate(frames, size=size, mode=mode, antialias=antialias)


def _to_uint8(values: Tensor) -> Tensor:
    return values.clamp(0, 255).to(torch.uint8)


def crop(frames: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    """The rectangle of `height` × `width` pixels whose upper left corner is (`top`, `left`): a view."""
    return frames[..., top : top + height, left : left + width]


def pad_to(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """Frames with zeros around them where they are smaller than `size`, one more below and right if odd."""
    missing_height = max(size[0] - frames.shape[-2], 0)
    missing_width = max(size[1] - frames.shape[-1], 0)
    if not missing_height and not missing_width:
        return frames
    left, top = missing_width // 2, missing_height // 2
    return F.pad(frames, (left, missing_width - left, top, missing_height - top))


def crop_center(frames: Tensor, crop_size: tuple[int, int]) -> Tensor:
    """The middle of the frames, padded with zeros where they are smaller than `crop_size`."""
    frames = pad_to(frames, crop_size)
    height, width = crop_size
    # round() takes halves to the even number; torchvision does the same, and a pixel more or less shows.
    top = round((frames.shape[-2] - height) / 2)
    left = round((frames.shape[-1] - width) / 2)
    return crop(frames, top, left, height, width)


def make_crops(frames: Tensor, crop_size: tuple[int, int], num_crops: int, *, modality: Modality = "video") -> Tensor:
    """One, three, five or ten crops (V, ..., C, H, W), padded with zeros where the frames are smaller.

    One is the middle. Three lie along the longer side: left, middle, right, or top, middle, bottom. Five are
    the corners (upper left, upper right, lower left, lower right) and the middle. Ten are the five and their
    mirror images.
    """
    if num_crops not in NUM_CROPS:
        raise ValueError(f"num_crops is {num_crops}; it must be one of {', '.join(map(str, NUM_CROPS))}")
    middle = crop_center(frames, crop_size)
    if num_crops == 1:
        return middle[None]
    frames = pad_to(frames, crop_size)
    if num_crops == 3:
        first, last = _crop_sides(frames, crop_size)
        return torch.stack([first, middle, last])
    five = torch.stack([*_crop_corners(frames, crop_size), middle])
    return five if num_crops == 5 else torch.cat([five, flip_horizontally(five, modality)])


def _crop_sides(frames: Tensor, crop_size: tuple[int, int]) -> list[Tensor]:
    height, width = crop_size
    rest_height, rest_width = frames.shape[-2] - height, frames.shape[-1] - width
    if frames.shape[-2] > frames.shape[-1]:
        left = round(rest_width / 2)
        return [crop(frames, top, left, height, width) for top in (0, rest_height)]
    top = round(rest_height / 2)
    return [crop(frames, top, left, height, width) for left in (0, rest_width)]


def _crop_corners(frames: Tensor, crop_size: tuple[int, int]) -> list[Tensor]:
    height, width = crop_size
    bottom, right = frames.shape[-2] - height, frames.shape[-1] - width
    return [crop(frames, top, left, height, width) for top in (0, bottom) for left in (0, right)]


def flip_horizontally(frames: Tensor, modality: Modality = "video") -> Tensor:
    """The mirror image: left and right change places, and what moved to the right moves to the left."""
    flipped = frames.flip(-1)
    if modality == "video":
        return flipped
    return flipped * torch.tensor([-1, 1], dtype=frames.dtype, device=frames.device).view(2, 1, 1)


def rescale_and_normalize(
    frames: Tensor,
    *,
    rescale_factor: float = 1 / 255,
    mean: Sequence[float] = (0.0,),
    std: Sequence[float] = (1.0,),
    out: Tensor | None = None,
) -> Tensor:
    """`(frames * rescale_factor - mean) / std` in float32, as one multiply-add, written to `out` if given."""
    if {len(mean), len(std)} - {1, frames.shape[-3]}:
        raise ValueError(
            f"mean {mean} and std {std} must have one number, or one for each of {frames.shape[-3]} channels"
        )
    if out is None:
        out = torch.empty(frames.shape, dtype=torch.float32, device=frames.device)
    # The two constants are made in float64: made in float32 they would cost the last digit of every pixel.
    deviation = torch.tensor(std, dtype=torch.float64)
    scale = rescale_factor / deviation
    shift = -torch.tensor(mean, dtype=torch.float64) / deviation
    scale, shift = (constant.to(out).view(-1, 1, 1) for constant in (scale, shift))
    return out.copy_(frames).mul_(scale).add_(shift)


def to_grayscale(frames: Tensor) -> Tensor:
    """The lightness (..., 1, H, W) of RGB frames, as float."""
    weights = torch.tensor(LIGHTNESS_OF_RGB, device=frames.device).view(3, 1, 1)
    return (frames * weights).sum(-3, keepdim=True)


def _blend(frames: Tensor, other: Tensor | float, factor: float) -> Tensor:
    """`factor` of the frames and the rest of `other`; bytes are cut off, not rounded, as PIL has it."""
    if factor < 0:
        raise ValueError(f"the factor is {factor}; it must be zero or more, and 1 changes nothing")
    blended = frames * factor + other * (1 - factor)
    return _to_uint8(blended) if frames.dtype == torch.uint8 else blended.clamp(0, 1)


def adjust_brightness(frames: Tensor, factor: float) -> Tensor:
    """Frames `factor` times as bright: 0 is black, 1 changes nothing."""
    return _blend(frames, 0.0, factor)


def adjust_contrast(frames: Tensor, factor: float) -> Tensor:
    """Frames moved away from their mean lightness, each from its own: 0 is flat grey, 1 changes nothing."""
    return _blend(frames, to_grayscale(frames).mean((-3, -2, -1), keepdim=True), factor)


def adjust_saturation(frames: Tensor, factor: float) -> Tensor:
    """Frames moved away from their own greyscale: 0 is greyscale, 1 changes nothing."""
    return _blend(frames, to_grayscale(frames), factor)


def adjust_hue(frames: Tensor, shift: float) -> Tensor:
    """Frames with every colour turned on the colour circle by `shift` of a full turn, in [-0.5, 0.5]."""
    if not -0.5 <= shift <= 0.5:
        raise ValueError(f"the shift is {shift}; it must lie in [-0.5, 0.5]")
    if frames.dtype == torch.uint8:
        return _to_uint8((adjust_hue(frames / 255, shift) * 255).round())
    largest = frames.amax(-3)
    chroma = largest - frames.amin(-3)
    sector = _find_hue_sector(frames, largest, chroma) + 6 * shift
    # Each channel is largest, smallest or on a ramp between them, according to the sixth of the circle.
    ramps = [(offset + sector).remainder(6) for offset in (5, 3, 1)]
    return torch.stack([largest - chroma * torch.minimum(ramp, 4 - ramp).clamp(0, 1) for ramp in ramps], -3)


def _find_hue_sector(frames: Tensor, largest: Tensor, chroma: Tensor) -> Tensor:
    """The hue in sixths of a turn, in [-1, 5]; that of grey is of no account, as its chroma is 0."""
    red, green, blue = frames.unbind(-3)
    safe_chroma = chroma.clamp_min(torch.finfo(frames.dtype).tiny)
    of_blue = (red - green) / safe_chroma + 4
    of_green = (blue - red) / safe_chroma + 2
    of_red = (green - blue) / safe_chroma
    return torch.where(largest == red, of_red, torch.where(largest == green, of_green, of_blue))
