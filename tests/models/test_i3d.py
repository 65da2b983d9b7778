"""I3D pads as TensorFlow does, averages as its authors do, and its processor knows frames from flow."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

import muybridge
from clips import moving_square, write_clip
from golden import Golden
from muybridge.conversion import convert
from muybridge.models import ARCHITECTURES
from muybridge.models.i3d import (
    I3DConfig,
    I3DFlowProcessor,
    I3DForVideoClassification,
    I3DModel,
    I3DVideoProcessor,
)
from muybridge.models.i3d.modeling_i3d import I3DUnit
from muybridge.models.i3d.padding import MaxPooling3d

TINY = ARCHITECTURES["i3d"].tiny


def padded_as_tensorflow_says(hidden, kernel, stride, value):
    """`hidden` with what "SAME" adds, from the formula in TensorFlow's documentation, axis by axis."""
    for axis, (window, step) in enumerate(zip(kernel, stride, strict=True), start=2):
        size = hidden.shape[axis]
        total = max(window - (size % step or step), 0)
        shape = list(hidden.shape)
        before, after = total // 2, total - total // 2
        parts = [torch.full((*shape[:axis], width, *shape[axis + 1 :]), value) for width in (before, after)]
        hidden = torch.cat([parts[0], hidden, parts[1]], dim=axis)
    return hidden


SIZES = [(1, 1, 1), (2, 3, 4), (5, 7, 6), (8, 9, 10), (9, 8, 11), (16, 17, 15), (11, 14, 13), (3, 32, 2), (64, 5, 1)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("kernel", "stride"), [(7, 2), (3, 1), (1, 1)])
def test_a_convolution_pads_as_tensorflow_does(size, kernel, stride):
    torch.manual_seed(0)
    unit = I3DUnit(I3DConfig(), 2, 3, kernel, stride).eval()
    hidden = torch.randn(2, 2, *size)
    padded = padded_as_tensorflow_says(hidden, (kernel,) * 3, (stride,) * 3, 0.0)
    expected = F.conv3d(padded, unit.convolution.weight, stride=stride) / math.sqrt(1 + 1e-3)
    assert expected.shape[2:] == tuple(math.ceil(each / stride) for each in size)
    assert_close(unit(hidden), expected.relu(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("kernel", "stride"),
    [((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (2, 2, 2)), ((2, 2, 2), (2, 2, 2)), ((3, 3, 3), (1, 1, 1))],
)
def test_a_pooling_pads_as_tensorflow_does_with_what_is_never_the_maximum(size, kernel, stride):
    hidden = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0)) - 5
    expected = padded_as_tensorflow_says(hidden, kernel, stride, -math.inf)
    for axis, (window, step) in enumerate(zip(kernel, stride, strict=True), start=2):
        expected = expected.unfold(axis, window, step).amax(-1)
    assert torch.equal(MaxPooling3d(kernel, stride, "same")(hidden), expected)


@pytest.mark.parametrize("frames", [9, 12, 17, 24])
@pytest.mark.parametrize("side", [20, 33])
def test_the_config_knows_the_grid_of_every_size(frames, side):
    for padding in ("same", "symmetric"):
        config = I3DConfig(**TINY | {"num_frames": 16}, padding=padding)
        if frames < config.find_minimum_input()[0]:
            continue
        hidden = I3DModel(config).eval()(torch.randn(1, frames, 3, side, side + 1)).last_hidden_state
        assert hidden.shape[2:] == config.compute_grid(frames, side, side + 1)


def test_frames_at_the_ends_count_half():
    model = I3DForVideoClassification(I3DConfig(**TINY)).eval()
    clip = torch.randn(2, 25, 3, 32, 32)
    output = model.base_model(clip)
    hidden = output.last_hidden_state
    assert hidden.shape[2:] == (4, 1, 1)
    # As the authors have it: an average pooling of two positions, a classifier, the mean of its logits.
    pairs = F.avg_pool3d(hidden, (2, 1, 1), stride=1)
    weight = model.head.classifier.weight[:, :, None, None, None]
    expected = F.conv3d(pairs, weight, model.head.classifier.bias).mean((2, 3, 4))
    assert_close(model(clip).logits, expected)
    weights = torch.tensor([1 / 6, 1 / 3, 1 / 3, 1 / 6])
    assert_close(output.pooler_output, (hidden[..., 0, 0] * weights).sum(2))


@pytest.mark.parametrize(
    ("padding", "shape", "message"),
    [
        ("same", (8, 32, 32), "8 frames of 32×32 .* takes 9 frames of 1×1 or more"),
        ("symmetric", (10, 64, 64), "10 frames of 64×64 .* takes 11 frames of "),
        ("symmetric", (16, 4, 64), "16 frames of 4×64 .* or more"),
    ],
)
def test_too_few_frames_and_pixels_are_refused_with_the_minimum(padding, shape, message):
    model = I3DModel(I3DConfig(**TINY | {"num_frames": 16}, padding=padding))
    frames, height, width = shape
    with pytest.raises(ValueError, match=message):
        model(torch.randn(1, frames, 3, height, width))


@pytest.mark.parametrize("padding", ["same", "symmetric"])
def test_the_minimum_suffices(padding):
    config = I3DConfig(**TINY | {"num_frames": 16}, padding=padding)
    frames, side = config.find_minimum_input()
    features = I3DModel(config).eval()(torch.randn(1, frames, 3, side, side)).pooler_output
    assert features.isfinite().all()


def test_a_config_of_too_few_frames_is_refused():
    with pytest.raises(Exception, match="8 frames of 224×224 are too few"):
        I3DConfig(num_frames=8)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden_sizes": (64, 192)}, "three numbers"),
        ({"mixed_sizes": ((64, 96, 128, 16, 32, 32),)}, "nine rows of six"),
        ({"width_multiplier": 0.0}, "must be positive"),
    ],
)
def test_tables_that_make_no_network_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        I3DConfig(**fields)


def test_the_width_multiplies_every_channel():
    config = I3DConfig(width_multiplier=0.25)
    model = I3DModel(config)
    assert config.hidden_size == 256
    assert model.conv3d_2c_3x3.convolution.weight.shape[:2] == (48, 16)
    assert model.mixed_4e.branch_1[1].convolution.weight.shape[:2] == (72, 36)


def test_the_layers_have_the_names_of_the_paper():
    names = [name for name, _ in I3DModel(I3DConfig(**TINY)).named_children()]
    assert names[:5] == ["conv3d_1a_7x7", "max_pool3d_2a_3x3", "conv3d_2b_1x1", "conv3d_2c_3x3", "max_pool3d_3a_3x3"]
    assert names[5:] == [
        "mixed_3b", "mixed_3c", "max_pool3d_4a_3x3", "mixed_4b", "mixed_4c", "mixed_4d", "mixed_4e", "mixed_4f",
        "max_pool3d_5a_2x2", "mixed_5b", "mixed_5c",
    ]  # fmt: skip


def test_what_a_pooling_gives_can_be_had_by_its_name():
    model = I3DModel(I3DConfig(**TINY)).eval()
    clip = torch.randn(1, 10, 3, 32, 32)
    before = model.get_features("mixed_3c", pixel_values_videos=clip)
    assert_close(model.get_features("max_pool3d_4a_3x3", pixel_values_videos=clip), model.max_pool3d_4a_3x3(before))


def test_optimized_at_odd_sizes_it_gives_the_same_logits():
    model = convert("hassony2/i3d_flow", Golden.load("hassony2_i3d_flow").state_dict())
    clip = torch.randn(1, 11, 2, 41, 58)
    optimized = muybridge.optimize(model, exact=True)
    assert_close(optimized(flow_values=clip).logits, model(flow_values=clip).logits, rtol=1e-4, atol=1e-4)


# Flow


def test_flow_goes_where_frames_do():
    """Flow of two channels is make_convolution_layers as frames of two channels would be."""
    torch.manual_seed(0)
    model = I3DForVideoClassification(I3DConfig(**TINY, modality="flow")).eval()
    assert model.input_shapes() == {"flow_values": (16, 2, 224, 224)}
    assert model.main_input_name == "flow_values"
    of_frames = I3DForVideoClassification(I3DConfig(**TINY, num_channels=2)).eval()
    of_frames.load_state_dict(model.state_dict())
    clip = torch.randn(2, 16, 2, 32, 32)
    assert torch.equal(model(flow_values=clip).logits, of_frames(pixel_values_videos=clip).logits)
    views = clip[:, None].expand(-1, 3, -1, -1, -1, -1)
    assert_close(model(flow_values=views).logits.softmax(-1), model(flow_values=clip).logits.softmax(-1))


def test_a_network_of_flow_refuses_frames_and_one_of_frames_flow():
    flow_model, frame_model = (I3DForVideoClassification(I3DConfig(**TINY, modality=name)) for name in ("flow", "rgb"))
    with pytest.raises(ValueError, match="I3DModel takes flow_values, and was given pixel_values_videos"):
        flow_model(pixel_values_videos=torch.randn(1, 16, 2, 32, 32))
    with pytest.raises(ValueError, match="I3DModel takes pixel_values_videos, and was given flow_values"):
        frame_model(flow_values=torch.randn(1, 16, 3, 32, 32))


def test_flow_of_three_channels_is_refused():
    with pytest.raises(Exception, match="num_channels is 3; optical flow has 2"):
        I3DConfig(modality="flow", num_channels=3)


# The processor


def flow(frames=64, height=256, width=320):
    return torch.randn(frames, 2, height, width, generator=torch.Generator().manual_seed(0)) * 15


def test_frames_become_values_between_minus_one_and_one():
    frames = torch.randint(0, 256, (70, 3, 256, 300), dtype=torch.uint8)
    pixels = I3DVideoProcessor()(frames, return_tensors="pt").pixel_values_videos
    assert pixels.shape == (1, 64, 3, 224, 224)
    assert_close(pixels[0], frames[3:67, :, 16:240, 38:262] / 127.5 - 1)


def test_flow_is_cut_off_and_divided_by_its_bound():
    given = flow()
    pixels = I3DFlowProcessor()(given, return_tensors="pt").flow_values
    assert given.abs().max() > 40
    assert_close(pixels[0], given[..., 16:240, 48:272].clamp(-20, 20) / 20)


def test_flow_with_channels_last_as_its_authors_store_it_is_understood():
    processor = I3DFlowProcessor()
    stored = flow(frames=10, height=256, width=256).permute(0, 2, 3, 1)[None].numpy()
    pixels = processor(stored, num_frames=10, return_tensors="pt").flow_values
    expected = processor(flow(frames=10, height=256, width=256), num_frames=10, return_tensors="pt").flow_values
    assert torch.equal(pixels, expected)


def test_flow_of_frames_that_are_resized_is_as_much_longer_or_shorter():
    constant = torch.empty(4, 2, 128, 64)
    constant[:, 0], constant[:, 1] = 3.0, -2.0  # 3 pixels to the right, 2 up
    processor = I3DFlowProcessor(size={"height": 64, "width": 96}, do_center_crop=False, num_frames=4)
    pixels = processor(constant, return_tensors="pt").flow_values[0]
    assert_close(pixels[:, 0], torch.full((4, 64, 96), 3 * 1.5 / 20))
    assert_close(pixels[:, 1], torch.full((4, 64, 96), -2 * 0.5 / 20))


def test_a_file_of_video_is_refused_where_flow_is_asked_for(tmp_path):
    write_clip(tmp_path / "clip.mp4", moving_square(num_frames=4, height=32, width=32))
    with pytest.raises(ValueError, match="does not compute it: compute the flow between its frames first"):
        I3DFlowProcessor()(str(tmp_path / "clip.mp4"))


@pytest.mark.parametrize(
    "given", [torch.randint(0, 256, (10, 2, 32, 32), dtype=torch.uint8), torch.rand(10, 3, 32, 32)]
)
def test_bytes_and_frames_are_refused_where_flow_is_asked_for(given):
    with pytest.raises(ValueError, match=r"given as optical flow; it must be floats \(T, 2, H, W\) in pixels"):
        I3DFlowProcessor()(given)


def test_a_bound_of_flow_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"flow_bound is -1\.0; it must be positive, or None"):
        I3DFlowProcessor(flow_bound=-1.0)(flow(frames=4))


def test_the_bound_of_the_flow_is_saved_with_the_processor(tmp_path):
    I3DFlowProcessor(flow_bound=19.0).save_pretrained(tmp_path)
    I3DModel(I3DConfig(**TINY, modality="flow")).save_pretrained(tmp_path)
    processor = muybridge.AutoVideoProcessor.from_pretrained(tmp_path)
    assert isinstance(processor, I3DFlowProcessor)
    assert processor.flow_bound == 19.0
