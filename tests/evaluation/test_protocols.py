import pytest
import torch

from muybridge import Protocol
from muybridge.evaluation import PROTOCOLS, get_protocol
from muybridge.evaluation.protocols import make_processor_arguments
from muybridge.models import ARCHITECTURES
from muybridge.processing import SoundProcessor, VideoProcessor

CONFIG = ARCHITECTURES["c3d"].tiny_config()


def views(protocol, num_frames=50, processor=None):
    """The views (V, T) of a video whose frame t is as bright as t, by the brightness of their frames."""
    frames = torch.arange(num_frames, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 12, 16).contiguous()
    processor = processor or VideoProcessor(
        sampling="dense", size={"shortest_edge": 12}, crop_size={"height": 8, "width": 8}, do_normalize=False
    )
    arguments = {"num_frames": CONFIG.num_frames, **make_processor_arguments(protocol, processor)}
    pixels = processor(frames, return_tensors="pt", **arguments).pixel_values_videos
    pixels = pixels if pixels.ndim == 6 else pixels[:, None]
    return (pixels[0].mean(dim=(2, 3, 4)) * 255).round().int(), pixels[0].shape


def test_the_protocol_clip_is_the_middle_of_the_video():
    frames, _ = views(PROTOCOLS["clip"])
    assert frames.tolist() == [[23, 24, 25, 26]]


def test_the_protocol_video_10x3_has_ten_clips_from_start_to_end_and_three_crops_of_each():
    frames, shape = views(PROTOCOLS["video-10x3"])
    assert shape == (30, 4, 3, 8, 8)
    assert frames[0].tolist() == frames[2].tolist() == [0, 1, 2, 3]
    assert frames[-1].tolist() == [46, 47, 48, 49]


def test_the_protocol_frames_25x10_has_25_equally_spaced_single_frames_and_ten_crops_of_each():
    frames, shape = views(PROTOCOLS["frames-25x10"], num_frames=49)
    assert shape == (250, 1, 3, 8, 8)
    assert frames[::10].flatten().tolist() == list(range(0, 49, 2))


def test_a_protocol_overrides_what_it_names_and_leaves_the_rest_to_the_processor():
    protocol = Protocol(num_clips=2, sampling="uniform", frame_stride=1, num_frames=5, short_side=20, crop_size=10)
    frames, shape = views(protocol)
    assert shape == (2, 5, 3, 10, 10)
    assert frames.tolist() == [[0, 10, 20, 30, 40], [5, 15, 25, 35, 45]]
    spaced, _ = views(Protocol(frame_stride=2, sampling="dense"))
    assert spaced.tolist() == [[21, 23, 25, 27]]


def test_sound_takes_the_protocols_that_it_can():
    processor = SoundProcessor(sampling_rate=8000, num_samples=400)
    arguments = make_processor_arguments(Protocol(num_clips=3), processor)
    assert processor(torch.randn(4000), return_tensors="pt", **arguments).input_values.shape == (1, 3, 400)
    arguments = make_processor_arguments(Protocol(num_crops=3), processor)  # as other inputs have three crops of it
    assert processor(torch.randn(4000), return_tensors="pt", **arguments).input_values.shape == (1, 3, 400)


def test_a_protocol_survives_json_and_keeps_the_short_form_of_configs():
    for protocol in [*PROTOCOLS.values(), Protocol(fps=12.5, short_side=256)]:
        assert Protocol(**protocol.to_dict()) == protocol
    assert Protocol(num_clips=5).to_dict() == {"num_clips": 5, "num_crops": 1, "aggregation": "softmax"}
    assert str(Protocol(num_clips=5)) == "5 clips × 1 crop, mean of softmax"


def test_without_a_name_the_protocol_is_the_one_that_the_model_states():
    assert get_protocol(None, ARCHITECTURES["c3d"].tiny_config(protocol={"num_clips": 5})) == Protocol(num_clips=5)
    assert get_protocol(None, CONFIG) == Protocol()
    assert get_protocol("video-10x1", CONFIG) == Protocol(num_clips=10)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="'video-3x3' is not known; known are clip, video-10x1, video-10x3"):
        get_protocol("video-3x3", CONFIG)


@pytest.mark.parametrize("fields", [{"sampling": "random"}, {"num_frames": 0}, {"fps": -1}, {"crop_size": 0}])
def test_a_protocol_that_cannot_be_is_refused(fields):
    with pytest.raises(ValueError, match=f"{next(iter(fields))} is "):
        Protocol(**fields)
