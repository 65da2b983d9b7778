"""What the fusion networks see of a clip's time and of its frames."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from muybridge.models.fusion_cnn import FusionCNNConfig, FusionCNNForVideoClassification, FusionCNNModel
from muybridge.models.inspection import count_gmacs, make_random_inputs

SMALL = {
    "image_size": 32,
    "hidden_sizes": (4, 6, 8),
    "kernel_sizes": (5, 3, 3),
    "stem_stride": 2,
    "fusion_frames": (4, 2, 2),
    "fully_connected_size": 16,
    "num_labels": 3,
}
NUM_FRAMES = {"single": 1, "early": 6, "late": 5, "slow": 10}


def config(fusion: str, **fields) -> FusionCNNConfig:
    return FusionCNNConfig(fusion=fusion, **{**SMALL, "num_frames": NUM_FRAMES[fusion], **fields})


def trunk(fusion: str, **fields) -> FusionCNNModel:
    torch.manual_seed(0)
    return FusionCNNModel(config(fusion, **fields)).eval()


def clip(model: FusionCNNModel, batch: int = 2) -> torch.Tensor:
    (clips,) = make_random_inputs(model, batch, torch.Generator().manual_seed(1)).values()
    return clips


def tower(stages, images: torch.Tensor) -> torch.Tensor:
    """The convolutions of one frame (B, C, H, W), written out."""
    hidden = images
    for index, stage in enumerate(stages):
        weight, bias = stage.layers[0].weight, stage.layers[0].bias
        hidden = F.conv2d(hidden, weight, bias, stride=1 if index else 2, padding=weight.shape[-1] // 2).relu()
        if index < 2:
            squares = F.pad(hidden**2, (0, 0, 0, 0, 2, 2))  # two channels on each side
            sums = sum(squares[:, shift : shift + hidden.shape[1]] for shift in range(5))
            hidden = hidden / (2 + 1e-4 * sums).sqrt()
        hidden = F.max_pool2d(hidden, 2)
    return hidden


def head(model: FusionCNNModel, features: torch.Tensor) -> torch.Tensor:
    return F.linear(F.linear(features, *model.fc6.parameters()).relu(), *model.fc7.parameters()).relu()


def test_the_published_networks_have_the_sizes_that_the_paper_says():
    with torch.device("meta"):
        full = FusionCNNModel(FusionCNNConfig.from_preset("single_frame"))
        both = FusionCNNModel(FusionCNNConfig.from_preset("single_frame_multiresolution"))
        whole, halves = full(torch.empty(1, 1, 3, 170, 170)), both(torch.empty(1, 1, 3, 178, 178))
    assert whole.last_hidden_state.shape == (1, 256, 1, 7, 7)
    assert halves.last_hidden_state.shape == (1, 2 * 256, 1, 7, 7)
    assert full.fc6[0].weight.shape == (4096, 7 * 7 * 256)


@pytest.mark.parametrize("name", FusionCNNConfig.PRESETS)
def test_each_published_network_ends_in_a_map_of_seven_by_seven(name):
    config = FusionCNNConfig.from_preset(name)
    assert config.grid_size == 7
    assert config.num_frames == {"single": 1, "early": 10, "late": 16, "slow": 10}[config.fusion]


def test_the_published_slow_fusion_goes_from_ten_frames_to_four_to_two_to_one():
    with torch.device("meta"):
        hidden_states = FusionCNNModel(FusionCNNConfig())(torch.empty(1, 10, 3, 170, 170), True).hidden_states
    assert [hidden.shape[2] for hidden in hidden_states[:5]] == [4, 2, 1, 1, 1]


def test_a_single_frame_goes_through_convolutions_of_images():
    model = trunk("single")
    frame = clip(model)
    assert_close(model(frame).pooler_output, head(model, tower(model.streams["full"], frame[:, 0]).flatten(1)))


def test_late_fusion_is_two_towers_of_one_frame_that_meet_in_the_first_fully_connected_layer():
    model = trunk("late")
    frames = clip(model)
    first, last = (tower(model.streams["full"], frames[:, index]) for index in (0, -1))
    assert_close(model(frames).pooler_output, head(model, torch.stack([first, last], dim=2).flatten(1)))


def test_batch_norms_stand_after_every_convolution_and_local_response_norms_nowhere():
    model = trunk("late", has_batch_norm=True)
    for index, stage in enumerate(model.streams["full"]):
        stage.layers[1].running_mean.fill_(0.1 * (index + 1))
        stage.layers[1].running_var.fill_(2.0)
    frames = clip(model)
    expected = []
    for hidden in (frames[:, 0], frames[:, -1]):
        for index, stage in enumerate(model.streams["full"]):
            weight, bias = stage.layers[0].parameters()
            hidden = F.conv2d(hidden, weight, bias, stride=1 if index else 2, padding=weight.shape[-1] // 2)
            hidden = F.max_pool2d(((hidden - 0.1 * (index + 1)) / (2 + 1e-5) ** 0.5).relu(), 2)
        expected.append(hidden)
    assert_close(model(frames).last_hidden_state, torch.stack(expected, dim=2))


def test_late_fusion_sees_the_first_and_the_last_frame_alone():
    model = trunk("late")
    frames, changed = clip(model), clip(model)
    changed[:, 1:-1] += 1
    assert torch.equal(model(frames).pooler_output, model(changed).pooler_output)


def test_early_fusion_is_a_convolution_of_images_that_have_the_frames_for_channels():
    model = trunk("early")
    frames = clip(model)
    convolution = model.streams["full"][0].layers[0]
    stacked = F.conv2d(
        frames.transpose(1, 2).flatten(1, 2), convolution.weight.flatten(1, 2), convolution.bias, stride=2, padding=2
    )
    assert_close(convolution(frames.transpose(1, 2))[:, :, 0], stacked)
    assert all(hidden.shape[2] == 1 for hidden in model(frames, True).hidden_states[:3])


# Frames that an output of each convolution depends on, by the arithmetic of kernels 4, 2, 2 at strides of 2.
SEEN = {0: [range(4), range(2, 6), range(4, 8), range(6, 10)], 1: [range(6), range(4, 10)], 2: [range(10)]}


@pytest.mark.parametrize("index", SEEN)
def test_slow_fusion_sees_ever_more_frames_and_all_of_them_in_the_third_convolution(index):
    model = trunk("slow")
    frames = clip(model, batch=1).requires_grad_()
    hidden = model(frames, True).hidden_states[index]
    seen = []
    for time in range(hidden.shape[2]):
        (gradient,) = torch.autograd.grad(hidden[:, :, time].sum(), frames, retain_graph=True)
        seen.append(gradient[0].abs().sum(dim=(1, 2, 3)).nonzero().flatten().tolist())
    assert seen == [list(frames_seen) for frames_seen in SEEN[index]]


def pixels_seen(model: FusionCNNModel, stream: str) -> torch.Tensor:
    """The pixels (H, W) that the first convolution of a stream depends on."""
    frames = clip(model, batch=1).requires_grad_()
    names = {"context": 0, "fovea": 1}
    model(frames, True).hidden_states[names[stream]].square().sum().backward()
    return frames.grad[0].abs().sum(dim=(0, 1)) > 0


def test_the_fovea_sees_the_middle_of_the_frame_and_nothing_else():
    seen = pixels_seen(trunk("slow", streams="both"), "fovea")
    assert not seen[:8].any()
    assert not seen[24:].any()
    assert not seen[:, :8].any()
    assert not seen[:, 24:].any()
    assert seen[8:24, 8:24].float().mean() > 0.9


def test_the_context_sees_the_whole_frame():
    assert pixels_seen(trunk("slow", streams="both"), "context").float().mean() > 0.9


def test_the_context_is_the_frame_at_half_its_size_and_the_fovea_the_middle_at_its_own():
    both = trunk("single", streams="both")
    frame = clip(both)[:, 0]
    context = frame.unflatten(2, (16, 2)).unflatten(4, (16, 2)).mean(dim=(3, 5))
    fovea = frame[:, :, 8:24, 8:24]
    expected = []
    for name, images in (("context", context), ("fovea", fovea)):
        *first, last = both.streams[name]
        hidden = tower(first, images)
        expected.append(F.conv2d(hidden, last.layers[0].weight, last.layers[0].bias, padding=1).relu())
    joined = torch.cat(expected, dim=1)
    assert_close(both(frame[:, None]).last_hidden_state[:, :, 0], joined)
    assert_close(both(frame[:, None]).pooler_output, head(both, joined.flatten(1)))


@pytest.mark.parametrize("stream", ["context", "fovea"])
def test_one_stream_alone_gives_what_it_gives_beside_the_other(stream):
    both, alone = trunk("slow", streams="both"), trunk("slow", streams=stream)
    alone.streams[stream].load_state_dict(both.streams[stream].state_dict())
    channels = {"context": slice(0, 8), "fovea": slice(8, 16)}
    assert_close(
        alone(clip(alone)).last_hidden_state, both(clip(both)).last_hidden_state[:, channels[stream]]
    )  # fmt: skip


@pytest.mark.parametrize("fusion", ["early", "late", "slow"])
@pytest.mark.parametrize("streams", ["full", "both"])
def test_a_fusion_sees_the_order_of_frames(fusion, streams):
    model = trunk(fusion, streams=streams)
    assert not torch.allclose(model(clip(model)).pooler_output, model(clip(model).flip(1)).pooler_output)


def test_late_fusion_costs_two_single_frames_but_for_the_fully_connected_layers():
    costs = {
        fusion: count_gmacs(FusionCNNForVideoClassification(config(fusion, num_frames=frames, image_size=64)))
        for fusion, frames in (("single", 1), ("late", 16))
    }
    fully_connected = (8 * 4 * 4 * 16 + 16 * 16 + 16 * 3) / 1e9  # of one frame
    convolutions = costs["single"] - fully_connected
    assert costs["late"] == pytest.approx(2 * convolutions + fully_connected + 8 * 4 * 4 * 16 / 1e9)


def test_what_sees_one_frame_is_a_convolution_of_images():
    kinds = {
        fusion: [type(stage.layers[0]).__name__ for stage in trunk(fusion).streams["full"]] for fusion in NUM_FRAMES
    }
    assert kinds == {
        "single": ["Conv2d", "Conv2d", "Conv2d"],
        "early": ["Conv3d", "Conv2d", "Conv2d"],
        "late": ["Conv2d", "Conv2d", "Conv2d"],
        "slow": ["Conv3d", "Conv3d", "Conv3d"],
    }


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"fusion": "single", "num_frames": 8}, "num_frames is 8; a network of single fusion takes 1"),
        ({"fusion": "slow", "num_frames": 16}, r"num_frames is 16; .* slow fusion takes 10, by fusion_frames"),
        ({"fusion": "early", "num_frames": 1}, "num_frames is 1; early fusion takes 2 or more"),
        ({"fusion": "late", "num_frames": 1}, "num_frames is 1; late fusion takes 2 or more"),
        ({"fusion_strides": (2, 2)}, "fusion_frames .* must name one value for each of the first convolutions"),
        ({"hidden_sizes": (4, 6)}, "hidden_sizes .* and kernel_sizes .* must name one value a convolution"),
        ({"kernel_sizes": (11, 5, 4, 3, 3)}, "kernel_sizes is .* each must be odd"),
        ({"streams": "both", "image_size": 171}, "image_size is 171; streams=.both. halves it: it must be even"),
        ({"image_size": 21}, "21×21 vanish in the network's poolings; use image_size ≥ 22"),
        ({"image_size": 18, "streams": "fovea"}, "18×18 vanish in the network's poolings; use image_size ≥ 20"),
    ],
)  # fmt: skip
def test_fields_that_make_no_network_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        FusionCNNConfig(**fields)


@pytest.mark.parametrize("fields", [{"image_size": 22}, {"image_size": 20, "streams": "both"}])
def test_the_smallest_images_that_are_asked_for_leave_one_position(fields):
    model = FusionCNNModel(FusionCNNConfig(**{**SMALL, "stem_stride": 3, "num_frames": 10, **fields}))
    assert model(clip(model)).last_hidden_state.shape[2:] == (1, 1, 1)


def test_a_clip_of_another_length_is_refused_with_the_one_it_takes():
    model = trunk("slow")
    with pytest.raises(ValueError, match=r"the clip has 8 frames of 32×32; .* slow fusion takes 10 of 32×32"):
        model(torch.zeros(1, 8, 3, 32, 32))
