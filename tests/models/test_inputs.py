"""Inputs are named, and described by their names."""

import pytest

from muybridge.models.inputs import describe_axes, describe_shapes, is_picture, shorten_shapes

CLIP = {"pixel_values_videos": (16, 3, 112, 112)}


@pytest.mark.parametrize(
    ("shapes", "short", "words", "with_channels"),
    [
        (CLIP, "16×112×112", "16 frames of 112×112", "16 frames of 3×112×112"),
        ({"pixel_values": (3, 224, 200)}, "224×200", "224×200", "3×224×200"),
        # As most video networks of transformers call them.
        ({"pixel_values": (8, 3, 32, 32)}, "8×32×32", "8 frames of 32×32", "8 frames of 3×32×32"),
        (
            {"flow_values": (64, 2, 224, 224)},
            "64×224×224",
            "optical flow of 64 frames of 224×224",
            "optical flow of 64 frames of 2×224×224",
        ),
        (
            {**CLIP, "input_values": (16000,)},
            "16×112×112 + 16000",
            "16 frames of 112×112 and 16000 samples of sound",
            "16 frames of 3×112×112 and 16000 samples of sound",
        ),
        ({"input_values": (98, 64)}, "98×64", "98 windows of sound in 64 bands", "98 windows of sound in 64 bands"),
        ({"skeletons": (16, 25, 2)}, "16×25×2", "skeletons of 16×25×2", "skeletons of 16×25×2"),
    ],
)
def test_inputs_are_described_by_their_names_and_sizes(shapes, short, words, with_channels):
    assert shorten_shapes(shapes) == short
    assert describe_shapes(shapes) == words
    assert describe_shapes(shapes, with_channels=True) == with_channels


def test_pictures_are_told_from_the_rest():
    names = ("pixel_values", "pixel_values_videos", "flow_values", "input_values", "input_ids", "skeletons")
    assert [name for name in names if is_picture(name)] == ["pixel_values", "pixel_values_videos", "flow_values"]


def test_the_axes_of_a_batch_are_named():
    assert describe_axes("pixel_values_videos", (16, 3, 112, 112)) == "batch, frames, 3 channels, height, width"
    assert describe_axes("skeletons", (16, 25, 2)) == "batch, 16, 25, 2"
