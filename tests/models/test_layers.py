"""The layers that several architectures share do what torch's, or the papers' words, say."""

from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from muybridge.models.layers import (
    ConvolutionBlock,
    FullyConnected,
    LocalResponseNorm,
    MaxPooling2d,
    WithPresets,
    slide_windows,
)


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(2, 7, 5, 6), (2, 3, 4, 5, 6), (2, 9)])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_mean_over_neighbours_is_the_norm_of_torch(shape, size):
    hidden = 10 * noise(*shape)
    norm = LocalResponseNorm(size, alpha=0.5, beta=0.6, k=1.5, neighbours="mean")
    expected = F.local_response_norm(hidden[..., None, None], size, alpha=0.5, beta=0.6, k=1.5)[..., 0, 0]
    assert_close(norm(hidden), expected)


def test_a_sum_over_neighbours_is_the_formula_of_the_paper():
    hidden, expected = 10 * noise(1, 6, 2, 2), torch.empty(1, 6, 2, 2)
    for channel in range(6):
        total = sum(hidden[:, j] ** 2 for j in range(max(0, channel - 2), min(5, channel + 2) + 1))
        expected[:, channel] = hidden[:, channel] / (2 + 1e-2 * total) ** 0.75
    assert_close(LocalResponseNorm(alpha=1e-2)(hidden), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_large_values_of_half_precision_are_normalised_as_those_of_full(dtype):
    hidden = torch.linspace(200, 2000, 16).view(1, 16, 1, 1)
    normed = LocalResponseNorm()(hidden.to(dtype))
    assert normed.dtype == dtype
    assert_close(normed.float(), LocalResponseNorm()(hidden), rtol=0.02, atol=0)


def test_the_norm_has_the_gradient_of_its_differences():
    norm = LocalResponseNorm(3, alpha=0.3, k=1.0)
    assert torch.autograd.gradcheck(norm, noise(1, 4, 2, 2).double().requires_grad_())


def test_a_window_without_a_middle_is_refused():
    with pytest.raises(ValueError, match="size is 4; a window of channels around each has an odd number"):
        LocalResponseNorm(4)


@pytest.mark.parametrize("pooling", [MaxPooling2d(2, 2), MaxPooling2d(3, 2), MaxPooling2d(3, 2, ceil_mode=True)])
def test_switches_are_where_the_maxima_were(pooling):
    hidden = noise(2, 3, 8, 10)
    pooled, switches = pooling.pool_with_switches(hidden)
    assert torch.equal(pooled, pooling(hidden))
    assert torch.equal(hidden.flatten(2).gather(2, switches.flatten(2)).view_as(pooled), pooled)


def test_unpooling_puts_the_maxima_back_and_nothing_else():
    hidden = noise(2, 3, 8, 10)
    pooled, switches = MaxPooling2d(2, 2).pool_with_switches(hidden)
    unpooled = F.max_unpool2d(pooled, switches, 2, 2, output_size=hidden.shape[-2:])
    is_largest = hidden == F.interpolate(pooled, scale_factor=2)
    assert torch.equal(unpooled, torch.where(is_largest, hidden, 0))


def test_a_block_is_convolution_norm_and_activation():
    convolution, norm = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4).eval()
    block, pixels = ConvolutionBlock(convolution, norm).eval(), noise(2, 3, 6, 6)
    assert torch.equal(block(pixels), norm(convolution(pixels)).relu())
    assert torch.equal(ConvolutionBlock(convolution)(pixels), convolution(pixels).relu())


def test_fully_connected_layers_run_as_a_convolution_on_a_larger_map():
    layer, hidden = FullyConnected(3 * 4 * 4, 5), noise(2, 3, 6, 9)
    linear = layer[0]
    expected = F.conv2d(hidden, linear.weight.view(5, 3, 4, 4), linear.bias).relu()
    assert_close(layer(slide_windows(hidden, 4)).permute(0, 3, 1, 2), expected)


class Shape(WithPresets):
    PRESETS: ClassVar = {"square": {"sides": 4}, "triangle": {"sides": 3}}

    def __init__(self, sides, colour="red"):
        self.sides = sides
        self.colour = colour


def test_a_preset_sets_fields_and_given_ones_win():
    assert Shape.from_preset("square").sides == 4
    assert (
        Shape.from_preset("square", sides=5, colour="blue").sides,
        Shape.from_preset("square", colour="blue").colour,
    ) == (
        5,
        "blue",
    )


def test_an_unknown_preset_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"Shape has no preset 'squar'; did you mean 'square'\? it has 'square', 'tri"):
        Shape.from_preset("squar")
