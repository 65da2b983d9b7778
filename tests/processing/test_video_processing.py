"""Videos to pixel values: which frames, which views, which numbers."""

import functools
import io
import json
import threading
from fractions import Fraction
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from huggingface_hub.errors import StrictDataclassFieldValidationError
from PIL import Image
from torch.testing import assert_close
from transformers import (
    AutoConfig,
    AutoModelForVideoClassification,
    VideoMAEConfig,
    VideoMAEForVideoClassification,
    pipeline,
)
from transformers.models.auto.video_processing_auto import AutoVideoProcessor

from clips import decode_from_start, moving_square, write_clip
from muybridge.processing import VideoProcessor
from muybridge.video import VideoError, VideoReader


class SmallProcessor(VideoProcessor):
    size = 24  # the shortest edge
    crop_size = 16
    image_mean = (0.4, 0.5, 0.6)
    image_std = (0.2, 0.25, 0.3)
    num_frames = 4


# Frame i is of shade i, so that pixel values tell which frames were taken.
PLAIN = {"do_resize": False, "do_center_crop": False, "do_rescale": False, "do_normalize": False}


def noise(*shape, seed=0):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def numbered(num_frames):
    return torch.arange(num_frames, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 4, 4)


def process(videos, **arguments):
    return SmallProcessor()(videos, **arguments).pixel_values_videos


def frames_taken(video, **arguments):
    """The numbers of the frames of the first video's views: (T,) or (V, T)."""
    return process(video, **PLAIN, **arguments)[0, ..., 0, 0, 0].int().tolist()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    frames = moving_square(num_frames=20, height=36, width=48)
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", frames)


def test_the_steps_equal_those_of_pil_and_numpy():
    frames = noise(4, 3, 31, 47)
    resized = [
        np.asarray(Image.fromarray(frame.permute(1, 2, 0).numpy()).resize((36, 24), Image.Resampling.BILINEAR))
        for frame in frames
    ]
    cropped = np.stack(resized)[:, 4:20, 10:26] / 255
    expected = torch.from_numpy((cropped - [0.4, 0.5, 0.6]) / [0.2, 0.25, 0.3]).permute(0, 3, 1, 2).float()
    pixels = process(frames)
    assert pixels.dtype == torch.float32
    assert (pixels[0] - expected).abs().max() <= 1.001 / 255 / 0.2


@pytest.mark.parametrize("num_clips", [1, 2])
@pytest.mark.parametrize("num_crops", [1, 3])
def test_a_batch_of_two_is_two_singles(num_clips, num_crops):
    first, second = noise(4, 3, 31, 47), noise(9, 3, 52, 29, seed=1)
    views = {"num_clips": num_clips, "num_crops": num_crops}
    expected = torch.cat([process(first, **views), process(second, **views)])
    assert torch.equal(process([first, second], **views), expected)


def test_channels_last_arrays_and_lists_of_images_equal_tensors():
    frames = noise(4, 3, 31, 47)
    arrays = frames.permute(0, 2, 3, 1).numpy()
    expected = process(frames)
    for videos in (arrays, list(arrays), [Image.fromarray(array) for array in arrays], [frames], frames[None]):
        assert torch.equal(process(videos), expected)


def test_floats_between_0_and_1_equal_bytes():
    frames = noise(4, 3, 24, 24)
    assert_close(process(frames / 255), process(frames), rtol=0, atol=1e-5)
    assert_close(process(frames / 255, rescale_factor=1.0), process(frames, rescale_factor=1.0))
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        process(frames.float())


def test_without_rescaling_numbers_are_left_as_they_are():
    frames = noise(4, 3, 16, 16)
    untouched = {"do_resize": False, "do_rescale": False, "do_normalize": False}
    assert torch.equal(process(frames, **untouched)[0], frames.float())
    assert torch.equal(process(frames.float(), **untouched)[0], frames.float())


def test_grey_and_alpha_become_rgb():
    grey, alpha = noise(4, 1, 24, 24), noise(4, 4, 24, 24)
    assert torch.equal(process(grey), process(grey.repeat(1, 3, 1, 1)))
    assert torch.equal(process(alpha), process(alpha[:, :3]))


def test_bgr_turns_the_channels_and_its_means_come_in_the_same_order():
    frames = noise(4, 3, 24, 24)
    turned = process(frames, channel_order="bgr")
    assert torch.equal(turned, process(frames.flip(1)))
    assert not torch.equal(turned, process(frames))


def test_views_are_every_crop_of_the_first_clip_then_of_the_second():
    frames = noise(8, 3, 24, 40)
    views = process(frames, sampling="dense", num_clips=2, num_crops=3)
    assert views.shape == (1, 6, 4, 3, 16, 16)
    for clip_number, start in enumerate((0, 4)):
        for crop_number, left in enumerate((0, 12, 24)):
            taken = frames[start : start + 4, :, 4:20, left : left + 16]
            expected = process(taken, do_resize=False)[0]
            assert torch.equal(views[0, 3 * clip_number + crop_number], expected)


def test_ten_crops_hold_five_and_their_mirror_images():
    views = process(noise(4, 3, 24, 40), num_crops=10)
    assert views.shape == (1, 10, 4, 3, 16, 16)
    assert torch.equal(views[:, 5:], views[:, :5].flip(-1))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, [0, 2, 5, 7]),
        ({"num_clips": 2}, [[0, 2, 5, 7], [1, 3, 6, 8]]),
        ({"sampling": "dense"}, [3, 4, 5, 6]),
        ({"sampling": "dense", "frame_stride": 2}, [1, 3, 5, 7]),
        ({"sampling": "dense", "num_clips": 3}, [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]),
        ({"sampling": "dense", "fps": 10, "video_metadata": {"fps": 20}}, [1, 3, 5, 7]),
        ({"sampling": "dense", "fps": 10}, [3, 4, 5, 6]),  # frames of no known rate have the rate asked for
        ({"num_frames": None, "fps": 10, "video_metadata": [{"fps": 25.0}]}, [0, 2, 5, 7]),
        ({"sampling": "segments"}, [1, 3, 6, 8]),
        ({"do_sample_frames": False}, list(range(10))),
        ({"num_frames": None}, list(range(10))),
        ({"num_frames": 10, "sampling": "dense", "frame_stride": 3}, list(range(10))),  # a clip already
        ({"num_frames": 12}, [*range(10), 9, 9]),
        ({"num_frames": 4, "sampling": "strided"}, [0, 2, 4, 6]),
        ({"num_frames": 12, "sampling": "strided"}, [*range(10), 9, 9]),
    ],
)
def test_the_frames_taken_are_those_of_the_sampler(arguments, expected):
    assert frames_taken(numbered(10), **arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fps": 10}, "pass sampling='dense', to which these belong"),
        ({"frame_stride": 2}, "pass sampling='dense', to which these belong"),
        ({"sampling": "segments", "num_clips": 2}, "sampling 'segments' makes one clip"),
        ({"sampling": "strided", "num_clips": 2}, "sampling 'strided' makes one clip"),
        ({"num_clips": 0, "sampling": "dense"}, "num_clips is 0; it must be 1 or more"),
        ({"num_clips": 0}, "num_clips is 0; it must be 1 or more"),
        ({"num_crops": 4}, "num_crops is 4; it must be 1, 3, 5 or 10"),
        ({"num_crops": 3, "do_center_crop": False}, "num_crops is 3 and do_center_crop False"),
        ({"video_metadata": [{"fps": 10}] * 2}, "2 entries for 1 videos"),
        ({"data_format": "channels_last"}, "data_format is 'channels_last'"),
        ({"do_pad": True}, "do_pad is True"),
        ({"resample": Image.Resampling.LANCZOS}, "it must be one of 2 .bilinear., 3 .bicubic."),
        ({"size": {"longest_edge": 5}}, "size is {'longest_edge': 5}; it must be"),
        ({"sampling": "random"}, "expected one of"),
        ({"num_frames": "4"}, "num_frames"),
        ({"num_clips": None}, "num_clips"),
        ({"fps": 0, "sampling": "dense"}, "fps is 0; it must be positive"),
    ],
)
def test_settings_that_make_no_sense_together_are_refused(arguments, message):
    with pytest.raises((ValueError, StrictDataclassFieldValidationError), match=message):
        SmallProcessor()(numbered(10), **arguments)


def test_unknown_arguments_are_refused_and_the_known_ones_named():
    with pytest.raises(TypeError, match=r"has no argument num_clip; it has .*num_clips"):
        process(numbered(10), num_clip=2)
    with pytest.raises(TypeError, match="has no argument crop"):
        SmallProcessor(crop=3)


def test_the_keys_that_transformers_writes_beside_the_arguments_are_accepted(tmp_path):
    auto_map = {"AutoVideoProcessor": "processing.SmallProcessor"}
    SmallProcessor(auto_map=auto_map, processor_class="SmallProcessor").save_pretrained(tmp_path)
    loaded = SmallProcessor.from_pretrained(tmp_path)
    assert torch.equal(loaded(numbered(9)).pixel_values_videos, process(numbered(9)))


def test_a_short_video_holds_its_last_frame_and_the_mask_says_so():
    batch = SmallProcessor()([numbered(3), numbered(9)], return_mask=True, num_crops=3, crop_size=4, size=4)
    assert batch["frame_mask"].shape == (2, 3, 4)
    assert batch["frame_mask"][0].tolist() == [[True, True, True, False]] * 3
    assert batch["frame_mask"][1].all()
    pixels = batch["pixel_values_videos"]
    assert torch.equal(pixels[0, :, 2], pixels[0, :, 3])
    assert SmallProcessor()(numbered(3), return_mask=True)["frame_mask"].tolist() == [[True, True, True, False]]


def test_whole_videos_of_unequal_length_are_held_to_the_longest():
    batch = SmallProcessor()([numbered(3), numbered(5)], do_sample_frames=False, return_mask=True)
    assert batch["pixel_values_videos"].shape == (2, 5, 3, 16, 16)
    assert batch["frame_mask"].sum(1).tolist() == [3, 5]


def test_uncropped_videos_of_unequal_shape_make_no_batch():
    with pytest.raises(ValueError, match=r"shapes \[\(3, 24, 24\), \(3, 24, 30\)\] and cannot make a batch"):
        process([noise(4, 3, 8, 8), noise(4, 3, 8, 10)], do_center_crop=False)


def test_a_file_gives_what_its_frames_give(clip):
    expected = process(decode_from_start(clip))
    exact = process(clip, resize_while_decoding=False)
    # The reader and plain PyAV may round colours differently.
    assert (exact - expected).abs().max() <= 3 / 255 / 0.2
    with VideoReader(clip) as reader:
        frames = reader.frames_at([0, 5, 10, 15])
    assert torch.equal(exact, process(frames))


def test_without_antialias_a_file_gives_what_its_frames_give(clip):
    with VideoReader(clip) as reader:
        frames = reader.frames_at([0, 5, 10, 15])
    assert torch.equal(process(clip, antialias=False), process(frames, antialias=False))
    assert (process(frames, antialias=False) - process(frames)).abs().max() > 0.01


def test_resizing_while_decoding_is_close_to_resizing_afterwards(shared_data):
    path = shared_data / "clips" / "v_SoccerJuggling_g23_c01.avi"
    levels = {
        "size": {"height": 128, "width": 171},
        "do_center_crop": False,
        "do_rescale": False,
        "do_normalize": False,
    }
    difference = (process(path, **levels) - process(path, resize_while_decoding=False, **levels)).abs()
    assert difference.mean() < 2
    assert np.percentile(difference.numpy(), 99) < 20


@pytest.fixture(scope="module")
def server(clip):
    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=clip.parent)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_paths_bytes_files_and_addresses_give_the_same(clip, server):
    data = clip.read_bytes()
    expected = process(clip)
    sources = [str(clip), data, io.BytesIO(data), f"{server}/clip.mp4", {"path": str(clip), "bytes": None}]
    for source in [*sources, {"path": None, "bytes": data}]:
        assert torch.equal(process(source), expected)
    assert torch.equal(process([*sources, clip]), expected.expand(6, -1, -1, -1, -1))


def test_a_reader_that_is_handed_in_stays_open(clip):
    with VideoReader(clip) as reader:
        assert torch.equal(process(reader), process(clip))
        assert len(reader.frames_at([0])) == 1


def test_files_are_resampled_from_their_own_rate(clip):
    batch = SmallProcessor()(clip, sampling="dense", fps=10, return_metadata=True)
    (metadata,) = batch["video_metadata"]
    assert metadata.fps == pytest.approx(30, rel=0.01)
    assert metadata.frames_indices == [5, 8, 11, 14]
    assert (metadata.total_num_frames, metadata.height, metadata.width) == (20, 36, 48)


def test_a_file_of_a_variable_rate_is_resampled_by_its_times(tmp_path):
    """30 frames in 0.3 s, then 30 in 3 s; at 5 frames a second, 2 lie in the first part."""
    times = [*range(0, 300, 10), *range(300, 3300, 100)]
    frames = moving_square(num_frames=60, height=36, width=48)
    path = write_clip(tmp_path / "clip.mkv", frames, times=times, time_base=Fraction(1, 1000))
    expected = [0, 20, *range(31, 60, 2)]

    def taken(**arguments):
        batch = SmallProcessor()(path, fps=5, return_metadata=True, **arguments)
        return batch["video_metadata"][0].frames_indices

    assert taken(num_frames=None) == expected
    assert taken(num_frames=16, sampling="dense", num_clips=2)[0] == expected[:16]
    assert taken(num_frames=2, sampling="dense", num_clips=2) == [[0, 20], [57, 59]]


def test_only_the_frames_that_a_view_needs_are_decoded_once(clip):
    class CountingReader(VideoReader):
        def frames_at_sizes(self, indices_by_size):
            (indices,) = indices_by_size.values()
            self.asked_for = list(indices)
            return super().frames_at_sizes(indices_by_size)

    with CountingReader(clip) as reader:
        SmallProcessor()(reader, sampling="dense", num_clips=10, num_crops=3)
        assert reader.asked_for == list(range(20))
        SmallProcessor()(reader)
        assert reader.asked_for == [0, 5, 10, 15]


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"this is no video")
    with pytest.raises(VideoError, match=r"broken\.mp4"):
        process(tmp_path / "broken.mp4")


def test_saving_and_loading_keeps_every_argument(tmp_path):
    processor = SmallProcessor(num_clips=2, sampling="dense", fps=None, image_mean=[0.1, 0.2, 0.3], size=40)
    processor.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "video_preprocessor_config.json").read_text())
    assert saved["size"] == {"shortest_edge": 40}
    loaded = SmallProcessor.from_pretrained(tmp_path)
    assert loaded.to_dict() == processor.to_dict()
    assert torch.equal(loaded(numbered(9)).pixel_values_videos, processor(numbered(9)).pixel_values_videos)
    assert SmallProcessor.from_pretrained(tmp_path, num_clips=10).num_clips == 10


def test_none_is_kept_where_the_class_has_a_number(tmp_path):
    class AtFps(SmallProcessor):
        sampling = "dense"
        fps = 15

    assert AtFps(fps=None).fps is None
    AtFps(fps=None).save_pretrained(tmp_path)
    assert AtFps.from_pretrained(tmp_path).fps is None


def test_numpy_is_given_when_asked_for():
    assert isinstance(process(numbered(4), return_tensors="np"), np.ndarray)


class TinyVideoConfig(VideoMAEConfig):
    model_type = "tiny_video_of_tests"


class TinyVideoClassifier(VideoMAEForVideoClassification):
    config_class = TinyVideoConfig


class TinyVideoProcessor(SmallProcessor):
    model_input_names = ("pixel_values",)


def test_the_pipeline_of_transformers_finds_a_registered_processor(tmp_path, clip):
    AutoConfig.register("tiny_video_of_tests", TinyVideoConfig)
    AutoModelForVideoClassification.register(TinyVideoConfig, TinyVideoClassifier)
    AutoVideoProcessor.register(TinyVideoConfig, TinyVideoProcessor)
    config = TinyVideoConfig(
        image_size=16, patch_size=8, num_frames=4, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=8, num_labels=3,
    )  # fmt: skip
    model = TinyVideoClassifier(config).eval()
    model.save_pretrained(tmp_path)
    TinyVideoProcessor().save_pretrained(tmp_path)
    assert isinstance(AutoVideoProcessor.from_pretrained(tmp_path), TinyVideoProcessor)
    labels = pipeline("video-classification", model=str(tmp_path))(str(clip), top_k=3)
    expected = model(process(clip)).logits[0].softmax(-1)
    assert {label["label"]: label["score"] for label in labels} == pytest.approx(
        {f"LABEL_{index}": score for index, score in enumerate(expected.tolist())}, abs=1e-5
    )
