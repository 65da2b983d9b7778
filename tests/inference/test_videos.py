"""What a network gets of a video is what its processor gives for it, whatever the video is given as."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from clips import moving_square, write_clip, write_sound
from muybridge.data import VideoRecord
from muybridge.data.sources import DatasetRow, VideoBytes
from muybridge.inference import VideoLoader
from muybridge.processing import ImageProcessor, JointProcessor, SoundProcessor, VideoProcessor
from muybridge.video import MemoryReader, SegmentReader, VideoReader

SIZES = {"size": {"shortest_edge": 24}, "crop_size": {"height": 24, "width": 24}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    write_clip(folder / "clip.mp4", moving_square(num_frames=30, height=32, width=40), fps=10)
    write_clip(folder / "other.mp4", moving_square(num_frames=30, height=32, width=40, seed=1), fps=10)
    write_sound(folder / "sound.wav", num_samples=24_000)
    return folder


@pytest.fixture(scope="module")
def processor() -> VideoProcessor:
    return VideoProcessor(num_frames=4, return_mask=True, **SIZES)


def assert_equal_inputs(found, expected, *, has_views=False):
    """`found` has views in front, `expected` a batch of one video."""
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert_close(value, expected[name][0] if has_views else expected[name], rtol=0, atol=0)


@pytest.mark.parametrize("form", ["path", "text", "bytes", "file", "dict", "reader", "record", "stored", "row"])
def test_a_video_may_come_in_any_form(folder, processor, form):
    path = folder / "clip.mp4"
    stores = {"": [{"video": {"bytes": path.read_bytes(), "path": None}}]}
    forms = {
        "path": path,
        "text": str(path),
        "bytes": path.read_bytes(),
        "file": path.open("rb"),
        "dict": {"path": str(path), "bytes": None},
        "reader": VideoReader(path),
        "record": VideoRecord(str(path)),
        "stored": VideoRecord(VideoBytes("clip", path.read_bytes())),
        "row": VideoRecord(DatasetRow("", 0, "video", "row 0")),
    }
    inputs = VideoLoader(processor, stores=stores)(forms[form])
    assert inputs["frame_mask"].tolist() == [[True] * 4]
    assert_equal_inputs(inputs, processor(path, return_tensors="pt"))


def test_frames_in_memory_are_a_video_too(processor):
    frames = moving_square(num_frames=9, height=32, width=40)
    expected = processor(frames, return_tensors="pt")
    for form in (frames, np.asarray(frames.permute(0, 2, 3, 1)), MemoryReader(frames)):
        assert_equal_inputs(VideoLoader(processor)(form), expected)


def test_a_record_of_a_part_of_a_file_is_that_part(folder, processor):
    record = VideoRecord(str(folder / "clip.mp4"), start_seconds=1.0, end_seconds=1.3)
    with SegmentReader(folder / "clip.mp4", start_seconds=1.0, end_seconds=1.3) as reader:
        expected = processor(reader, return_tensors="pt")
    inputs = VideoLoader(processor)(record)
    assert inputs["frame_mask"].tolist() == [[True, True, True, False]]
    assert_equal_inputs(inputs, expected)


def test_views_stand_in_front_of_every_input_and_of_the_mask(folder, processor):
    views = {"num_clips": 2, "num_crops": 3}
    load = VideoLoader(processor, views)
    inputs = load(folder / "clip.mp4")
    assert load.num_views == 6
    assert {name: tuple(value.shape) for name, value in inputs.items()} == {
        "pixel_values_videos": (6, 4, 3, 24, 24),
        "frame_mask": (6, 4),
    }
    assert_equal_inputs(inputs, processor(folder / "clip.mp4", return_tensors="pt", **views), has_views=True)


def test_several_inputs_come_from_the_sources_that_their_processor_names(folder):
    processor = JointProcessor(
        {
            "pixel_values_videos": VideoProcessor(num_frames=4, num_clips=2, **SIZES),
            "input_values": SoundProcessor(sampling_rate=8000, num_samples=800),
        }
    )
    sources = {"video": str(folder / "clip.mp4"), "sound": str(folder / "sound.wav")}
    expected = processor(sources, return_tensors="pt")
    load = VideoLoader(processor)
    assert load.num_views == 2
    for form in (
        sources,
        VideoRecord(sources=sources),
        VideoRecord(sources={"left": str(folder / "other.mp4"), **sources}),
    ):
        assert_equal_inputs(load(form), expected, has_views=True)


def test_several_videos_in_one_tensor_are_not_taken_for_one(processor):
    with pytest.raises(ValueError, match=r"\(2, 4, 3, 32, 32\)"):
        VideoLoader(processor)(torch.zeros(2, 4, 3, 32, 32, dtype=torch.uint8))


def test_a_processor_that_opens_no_files_is_refused():
    with pytest.raises(TypeError, match="the type ImageProcessor, which opens no videos; pass a VideoProcessor"):
        VideoLoader(ImageProcessor())
