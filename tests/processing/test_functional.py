"""The arithmetic against PIL, colorsys, and formulas written another way."""

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from torch.testing import assert_close

from muybridge.processing import functional
from muybridge.video.geometry import resized_size

SIZES = [(240, 320), (97, 53), (31, 200), (128, 171)]
TARGETS = [(112, 112), (128, 171), (301, 77), 64, 181]
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def noise(*shape, seed=0):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def picture(_num_channels, height, width):
    """Smooth shades with hard edges, as a camera sees them: (3, H, W)."""
    rows = torch.linspace(0, 4, height)[:, None]
    columns = torch.linspace(0, 5, width)[None]
    shades = torch.stack([torch.sin(rows * columns), torch.cos(rows + columns), torch.sin(3 * rows - columns)])
    disc = (rows - 2) ** 2 + (columns - 2) ** 2 < 1
    return torch.where(disc, 255, (shades + 1) * 127).to(torch.uint8)


def to_pil(frame):
    return Image.fromarray(frame.permute(1, 2, 0).numpy())


def from_pil(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def assert_within(levels, actual, expected):
    assert actual.shape == expected.shape
    assert (actual.float() - expected.float()).abs().max() <= levels


@pytest.mark.parametrize("make", [noise, picture])
@pytest.mark.parametrize(("interpolation", "levels"), [("bilinear", 1), ("bicubic", 2)])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", SIZES)
def test_resize_equals_pil_within_a_level_and_two_for_bicubic(size, target, interpolation, levels, make):
    frame = make(3, *size)
    height, width = resized_size(*size, target)
    expected = from_pil(to_pil(frame).resize((width, height), FILTERS[interpolation]))
    assert_within(levels, functional.resize(frame, target, interpolation), expected)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", SIZES)
def test_resize_of_floats_equals_pil_within_a_level(size, target):
    frame = picture(3, *size)
    height, width = resized_size(*size, target)
    expected = from_pil(to_pil(frame).resize((width, height), FILTERS["bilinear"]))
    resized = functional.resize(frame / 255, target)
    assert resized.dtype == torch.float32
    assert (resized * 255 - expected).abs().max() <= 1.01  # PIL rounds twice, floats never


def test_bytes_stay_bytes_on_devices_where_torch_resizes_floats_only():
    resized = functional.resize(noise(2, 3, 60, 80).to("meta"), 30)
    assert (resized.dtype, resized.shape) == (torch.uint8, (2, 3, 30, 40))


@pytest.mark.parametrize(
    ("size", "target", "expected"),
    [
        ((240, 320), 128, (128, 170)),  # 170.67 is rounded down
        ((320, 240), 128, (170, 128)),
        ((100, 100), 32, (32, 32)),
        ((240, 320), (128, 171), (128, 171)),
    ],
)
def test_the_longer_side_is_rounded_down(size, target, expected):
    assert resized_size(*size, target) == expected
    assert functional.resize(noise(3, *size), target).shape[-2:] == expected


def bilinear_at_centres(image, height, width):
    """Values at the centres of the new pixels, between those of the nearest old ones; nothing else is looked at."""

    def neighbours(old, new):
        places = ((np.arange(new) + 0.5) * old / new - 0.5).clip(0, old - 1)
        first = np.floor(places).astype(int)
        return first, np.minimum(first + 1, old - 1), places - first

    top, bottom, down = neighbours(image.shape[-2], height)
    left, right, along = neighbours(image.shape[-1], width)
    rows = image[..., top, :] * (1 - down)[:, None] + image[..., bottom, :] * down[:, None]
    return rows[..., left] * (1 - along) + rows[..., right] * along


@pytest.mark.parametrize(("size", "target"), [((48, 64), (12, 12)), ((30, 17), (11, 23)), ((7, 9), (20, 4))])
def test_resize_without_antialias_looks_at_the_nearest_pixels_alone(size, target):
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, *size), dtype=np.uint8))
    expected = bilinear_at_centres(frames.numpy().astype(np.float64), *target)
    resized = functional.resize(frames, target, antialias=False)
    assert resized.dtype == torch.uint8
    assert np.abs(resized.numpy() - expected).max() <= 1
    of_floats = functional.resize(frames / 255, target, antialias=False)
    assert np.abs(of_floats.numpy() * 255 - expected).max() < 1e-3


def test_resize_is_the_same_for_every_leading_axis():
    frames = noise(2, 4, 3, 37, 53)
    resized = functional.resize(frames, (20, 30))
    assert resized.shape == (2, 4, 3, 20, 30)
    assert torch.equal(resized[1, 2], functional.resize(frames[1, 2], (20, 30)))


def test_resize_to_nothing_and_by_an_unknown_filter_are_refused():
    with pytest.raises(ValueError, match=r"size is \(0, 1\); it must be"):
        functional.resize(noise(3, 4, 4), (0, 1))
    with pytest.raises(ValueError, match="it must be one of bilinear, bicubic"):
        functional.resize(noise(3, 4, 4), 2, "lanczos")


@pytest.mark.parametrize(
    ("size", "crop_size", "top", "left"),
    [
        ((128, 171), (112, 112), 8, 30),  # 29.5 goes to the even 30
        ((128, 173), (112, 112), 8, 30),  # and so does 30.5
        ((112, 112), (112, 112), 0, 0),
    ],
)
def test_crop_center_takes_the_middle(size, crop_size, top, left):
    frames = noise(2, 3, *size)
    expected = frames.numpy()[:, :, top : top + crop_size[0], left : left + crop_size[1]]
    assert torch.equal(functional.crop_center(frames, crop_size), torch.from_numpy(expected))


def test_crop_center_pads_small_frames_with_zeros():
    frames = noise(2, 3, 5, 8)
    expected = np.zeros((2, 3, 8, 6), dtype=np.uint8)
    expected[:, :, 1:6] = frames.numpy()[:, :, :, 1:7]
    assert torch.equal(functional.crop_center(frames, (8, 6)), torch.from_numpy(expected))


def slices(frames, size, corners):
    return torch.stack([frames[..., top : top + size, left : left + size] for top, left in corners])


def test_three_crops_lie_along_the_longer_side():
    wide, tall = noise(2, 3, 20, 31), noise(2, 3, 31, 20)
    assert torch.equal(functional.make_crops(wide, (20, 20), 3), slices(wide, 20, [(0, 0), (0, 6), (0, 11)]))
    assert torch.equal(functional.make_crops(tall, (20, 20), 3), slices(tall, 20, [(0, 0), (6, 0), (11, 0)]))
    assert torch.equal(functional.make_crops(wide, (16, 16), 3), slices(wide, 16, [(2, 0), (2, 8), (2, 15)]))


def test_five_crops_are_the_corners_and_the_middle_and_ten_their_mirror_images_too():
    frames = noise(2, 3, 20, 31)
    five = slices(frames, 16, [(0, 0), (0, 15), (4, 0), (4, 15), (2, 8)])
    assert torch.equal(functional.make_crops(frames, (16, 16), 5), five)
    ten = functional.make_crops(frames, (16, 16), 10)
    assert torch.equal(ten, torch.cat([five, torch.from_numpy(five.numpy()[..., ::-1].copy())]))


def test_one_crop_is_the_middle_and_two_are_refused():
    frames = noise(2, 3, 20, 31)
    assert torch.equal(functional.make_crops(frames, (16, 16), 1)[0], functional.crop_center(frames, (16, 16)))
    with pytest.raises(ValueError, match="num_crops is 2; it must be one of 1, 3, 5, 10"):
        functional.make_crops(frames, (16, 16), 2)


def test_normalisation_equals_its_two_steps():
    frames = noise(4, 3, 20, 30)
    mean, std = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)
    fused = functional.rescale_and_normalize(frames, mean=mean, std=std)
    rescaled = frames.double() / 255
    expected = (rescaled - torch.tensor(mean).double().view(3, 1, 1)) / torch.tensor(std).double().view(3, 1, 1)
    assert fused.dtype == torch.float32
    assert_close(fused, expected.float(), rtol=0, atol=1e-6)


def test_normalisation_needs_a_mean_for_each_channel():
    with pytest.raises(ValueError, match="one for each of 1 channels"):
        functional.rescale_and_normalize(noise(2, 1, 4, 5), mean=(0.1, 0.2, 0.3))


def test_normalisation_writes_where_it_is_told():
    frames, out = noise(2, 3, 4, 5), torch.empty(2, 3, 4, 5)
    assert functional.rescale_and_normalize(frames, rescale_factor=1, out=out) is out
    assert torch.equal(out, frames.float())


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
@pytest.mark.parametrize(
    ("adjust", "enhancer"),
    [
        (functional.adjust_brightness, ImageEnhance.Brightness),
        (functional.adjust_contrast, ImageEnhance.Contrast),
        (functional.adjust_saturation, ImageEnhance.Color),
    ],
)
def test_colours_change_as_in_pil_within_a_level(adjust, enhancer, factor):
    frame = picture(3, 60, 80)
    expected = from_pil(enhancer(to_pil(frame)).enhance(factor))
    # PIL rounds lightness to whole levels before blending it, which a factor above 1 magnifies.
    assert (adjust(frame, factor).int() - expected.int()).abs().max() <= 1
    assert (adjust(frame / 255, factor) * 255 - expected).abs().max() <= 2


@pytest.mark.parametrize("shift", [-0.5, -0.21, 0.0, 0.1, 0.5])
def test_hue_turns_as_in_colorsys(shift):
    frame = torch.rand(3, 8, 9, generator=torch.Generator().manual_seed(0))
    frame[:, 0] = frame[:1, 0]  # greys have no hue
    turned = functional.adjust_hue(frame, shift)
    for row, column in np.ndindex(8, 9):
        hue, saturation, value = colorsys.rgb_to_hsv(*frame[:, row, column].tolist())
        expected = colorsys.hsv_to_rgb((hue + shift) % 1, saturation, value)
        assert_close(turned[:, row, column], torch.tensor(expected), rtol=0, atol=1e-5)


def test_hue_of_bytes_is_that_of_floats_rounded():
    frame = noise(3, 20, 30)
    expected = (functional.adjust_hue(frame / 255, 0.3) * 255).round()
    assert torch.equal(functional.adjust_hue(frame, 0.3).float(), expected)
    assert torch.equal(functional.adjust_hue(frame, 0.0), frame)


def test_factors_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"the factor is -0\.1"):
        functional.adjust_brightness(noise(3, 4, 4), -0.1)
    with pytest.raises(ValueError, match=r"the shift is 0\.6"):
        functional.adjust_hue(noise(3, 4, 4), 0.6)
