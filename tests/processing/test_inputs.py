"""Whatever people hand in becomes the same frames, or an error that says what to do."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from muybridge.processing.inputs import as_image, as_images, as_videos, check_range, infer_data_format, to_rgb


def noise(*shape):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


FRAMES = noise(5, 3, 8, 10)


@pytest.mark.parametrize(
    "video",
    [
        FRAMES,
        FRAMES.numpy(),
        FRAMES.permute(0, 2, 3, 1),
        FRAMES.permute(0, 2, 3, 1).numpy(),
        list(FRAMES),
        [frame.permute(1, 2, 0).numpy() for frame in FRAMES],
        [Image.fromarray(frame.permute(1, 2, 0).numpy()) for frame in FRAMES],
        FRAMES[None],
        [FRAMES],
        [list(FRAMES)],
        (FRAMES.numpy(),),
    ],
    ids=lambda video: type(video).__name__,
)
def test_one_video_is_the_same_however_it_is_given(video):
    (frames,) = as_videos(video)
    assert torch.equal(frames, FRAMES)


def test_a_batch_is_a_fifth_axis_or_a_list():
    batch = noise(2, 5, 3, 8, 10)
    for videos in (batch, batch.permute(0, 1, 3, 4, 2).numpy(), list(batch), [list(batch[0]), batch[1].numpy()]):
        first, second = as_videos(videos)
        assert torch.equal(first, batch[0])
        assert torch.equal(second, batch[1])


def test_files_are_left_for_the_reader(tmp_path):
    file = io.BytesIO(b"data")
    assert as_videos("clip.mp4") == ["clip.mp4"]
    assert as_videos(["a.mp4", tmp_path]) == ["a.mp4", tmp_path]
    assert as_videos([b"data", bytearray(b"data"), file]) == [b"data", b"data", file]
    assert as_videos({"path": "clip.mp4", "bytes": None}) == ["clip.mp4"]
    assert as_videos([{"path": "clip.mp4", "bytes": b"data"}, FRAMES])[0] == b"data"


def test_a_list_of_lists_of_paths_is_videos_of_image_files(tmp_path):
    for index, frame in enumerate(FRAMES):
        Image.fromarray(frame.permute(1, 2, 0).numpy()).save(tmp_path / f"{index}.png")
    (frames,) = as_videos([[str(tmp_path / f"{index}.png") for index in range(5)]])
    assert torch.equal(frames, FRAMES)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5, 3, 8, 10), "channels_first"),
        ((5, 8, 10, 3), "channels_last"),
        ((5, 1, 8, 10), "channels_first"),
        ((5, 8, 10, 4), "channels_last"),
        ((5, 3, 8, 4), "channels_first"),  # three channels are likelier than four
        ((3, 8, 10), "channels_first"),
    ],
)
def test_channels_are_found(shape, expected):
    assert infer_data_format(shape) == expected


def test_channels_that_could_be_on_either_side_must_be_named():
    frames = noise(5, 3, 8, 3)
    with pytest.raises(ValueError, match=r"\(5, 3, 8, 3\) can be read .* pass input_data_format"):
        as_videos(frames)
    assert as_videos(frames, "channels_first")[0].shape == (5, 3, 8, 3)
    assert as_videos(frames, "channels_last")[0].shape == (5, 3, 3, 8)
    with pytest.raises(ValueError, match="input_data_format is 'last'"):
        as_videos(frames, "last")


@pytest.mark.parametrize(
    ("video", "error", "message"),
    [
        (noise(3, 16, 8, 10), ValueError, r"shape \(3, 16, 8, 10\) has no axis of channels"),
        (noise(3, 8, 10), ValueError, r"shape \(3, 8, 10\) was given; it must be \(T, C, H, W\)"),
        ([FRAMES[None]], ValueError, r"shape \(1, 5, 3, 8, 10\) was given"),
        (FRAMES.int(), TypeError, r"torch.int32 were given; they must be uint8"),
        ([], ValueError, "the list of videos is empty"),
        ([[]], ValueError, "the list of frames is empty"),
        ([FRAMES[0], FRAMES[0, :, 1:]], ValueError, "must have one shape"),
        (None, TypeError, "NoneType was given as a video; it must be a path"),
        ({"label": 3}, TypeError, "dict was given as a video"),
    ],
)
def test_what_is_no_video_is_refused_with_the_reason(video, error, message):
    with pytest.raises(error, match=message):
        as_videos(video)


def test_grey_becomes_rgb_and_alpha_is_dropped():
    grey, alpha = noise(5, 1, 8, 10), noise(5, 4, 8, 10)
    assert torch.equal(to_rgb(grey), torch.cat([grey, grey, grey], dim=1))
    assert torch.equal(to_rgb(alpha), alpha[:, :3])
    with pytest.raises(ValueError, match="2 channels"):
        to_rgb(noise(5, 2, 8, 10))


def test_floats_must_lie_between_0_and_1():
    check_range(FRAMES)
    check_range(FRAMES / 255)
    for wrong in (FRAMES.float(), FRAMES / 127.5 - 1, torch.full((1, 3, 2, 2), torch.nan)):
        with pytest.raises(ValueError, match=r"must lie in \[0, 1\]; these reach from"):
            check_range(wrong)


def test_images_are_turned_upright(tmp_path):
    frame = noise(3, 8, 10)
    image = Image.fromarray(frame.permute(1, 2, 0).numpy())
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    image.save(tmp_path / "turned.png", exif=exif)
    upright = torch.from_numpy(np.rot90(frame.numpy(), -1, axes=(1, 2)).copy())
    path = tmp_path / "turned.png"
    for given in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), Image.open(path)):
        assert torch.equal(as_image(given), upright)


def test_images_of_any_mode_become_rgb():
    image = Image.fromarray(noise(8, 10).numpy())
    for mode in ("L", "1", "P", "RGBA", "CMYK"):
        converted = image.convert(mode)
        expected = torch.from_numpy(np.array(converted.convert("RGB"))).permute(2, 0, 1)
        assert torch.equal(as_image(converted), expected)


def test_images_are_one_a_list_or_a_fourth_axis():
    batch = noise(2, 3, 8, 10)
    for images in (batch, batch.permute(0, 2, 3, 1).numpy(), list(batch), tuple(batch.numpy())):
        assert torch.equal(torch.stack(as_images(images)), batch)
    assert torch.equal(as_images(batch[0])[0], batch[0])
    assert as_images(noise(8, 10).numpy())[0].shape == (1, 8, 10)
    with pytest.raises(ValueError, match="the list of images is empty"):
        as_images([])
    with pytest.raises(ValueError, match=r"shape \(8,\) was given; it must be"):
        as_image(noise(8))
