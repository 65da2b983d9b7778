"""What an optimized model keeps of the original, and what it folds."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from transformers import VideoMAEConfig, VideoMAEForVideoClassification

import muybridge
import toys
from muybridge.models import ARCHITECTURES, adapt, optimization
from muybridge.models.inspection import make_random_inputs
from muybridge.models.optimization import PackedConvolution, fuse_sequential, optimize
from muybridge.models.registry import FOREIGN_ARCHITECTURES

TOYS = {each.name: each for each in (toys.VIDEO_AND_SOUND, toys.SOUND)}
OURS = {**ARCHITECTURES, **TOYS}
EVERY = {**OURS, **FOREIGN_ARCHITECTURES}
each_of_ours = pytest.mark.parametrize("architecture", OURS.values(), ids=OURS.keys())
each_architecture = pytest.mark.parametrize("architecture", EVERY.values(), ids=EVERY.keys())
needs_bfloat16 = pytest.mark.skipif(
    not optimization.is_bfloat16_fast(torch.device("cpu")), reason="this processor has no bfloat16"
)


@pytest.fixture(autouse=True)
def _with_toys():
    with toys.registered(*TOYS.values()):
        yield


def make(architecture):
    torch.manual_seed(0)
    model = adapt(architecture.task_model(architecture.tiny_config())).eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            train(module)
    return model


@torch.no_grad()
def train(norm):
    """Statistics and weights as after training, so that a norm left out shows."""
    for tensor in (*norm.parameters(), *norm.buffers()):
        if tensor.is_floating_point():
            tensor.add_(torch.rand_like(tensor) / 2)
    return norm


def make_inputs(model, batch=2):
    return make_random_inputs(model, batch, torch.Generator().manual_seed(0))


def clips(model, batch=2):
    """The input of a model that has one."""
    (values,) = make_inputs(model, batch).values()
    return values


def distance(actual, expected):
    return ((actual - expected).norm() / expected.norm()).item()


def fused(*modules):
    """The layers, and the same with what can be fused fused."""
    original = nn.Sequential(*modules).eval().requires_grad_(False)
    sequential = copy.deepcopy(original)
    fuse_sequential(sequential)
    return original, sequential


def kinds(sequential):
    return [type(module).__name__ for module in sequential]


@each_architecture
def test_an_exact_model_scores_as_the_original(architecture):
    model = make(architecture)
    optimized = optimize(model, exact=True)
    inputs = make_inputs(model)
    assert distance(optimized(**inputs).logits, model(**inputs).logits) < 1e-5
    assert distance(optimized.get_features(**inputs), model.get_features(**inputs)) < 1e-5
    assert optimized.dtype == torch.float32


@needs_bfloat16
@each_architecture
def test_a_bfloat16_model_scores_nearly_as_the_original(architecture):
    model = make(architecture)
    optimized = optimize(model)
    inputs = make_inputs(model)
    logits = optimized(**inputs).logits
    assert logits.dtype == torch.float32
    assert distance(logits, model(**inputs).logits) < 0.02
    assert optimized.dtype == torch.bfloat16


@pytest.mark.parametrize("exact", [True, False])
@each_architecture
def test_float32_and_bfloat16_inputs_are_both_taken(architecture, exact):
    optimized = optimize(make(architecture), exact=exact)
    inputs = {name: value.bfloat16() for name, value in make_inputs(optimized).items()}
    expected = optimized(**{name: value.float() for name, value in inputs.items()}).logits
    assert_close(optimized(**inputs).logits, expected)
    assert_close(optimized(*inputs.values()).logits, expected)


@each_architecture
def test_the_original_is_untouched(architecture):
    model = make(architecture).train()
    state = copy.deepcopy(model.state_dict())
    optimized = optimize(model)
    optimized(**make_inputs(model))
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert_close(model.state_dict(), state, rtol=0, atol=0)
    assert not optimized.training
    assert not any(parameter.requires_grad for parameter in optimized.parameters())


@each_architecture
def test_class_config_and_outputs_are_kept(architecture):
    model = make(architecture)
    optimized = optimize(model, exact=True)
    inputs = make_inputs(model)
    expected = model(**inputs, labels=torch.tensor([0, 2]), output_hidden_states=True)
    actual = optimized(**inputs, labels=torch.tensor([0, 2]), output_hidden_states=True)
    assert type(optimized) is type(model)
    assert optimized.config.to_dict() == model.config.to_dict()
    assert_close(actual.loss, expected.loss)
    for state, expected_state in zip(actual.hidden_states, expected.hidden_states, strict=True):
        assert state.shape == expected_state.shape
        assert distance(state, expected_state) < 1e-5


@each_architecture
def test_views_are_averaged(architecture):
    model = make(architecture)
    optimized = optimize(model, exact=True)
    views = {name: torch.stack([value, value.flip(1)], dim=1) for name, value in make_inputs(model).items()}
    assert distance(optimized(**views).logits, model(**views).logits) < 1e-5


@each_of_ours
def test_a_batch_computed_in_parts_gives_the_outputs_of_the_whole(architecture, monkeypatch):
    model = make(architecture)
    inputs = make_inputs(model, batch=5)
    monkeypatch.setattr(optimization, "VALUES_IN_A_PART", 2 * sum(value[0].numel() for value in inputs.values()))
    sizes = []
    optimized = optimize(model, exact=True)
    optimized.get_stages()[-1].register_forward_hook(lambda *call: sizes.append(len(call[-1])))
    actual = optimized(**inputs, output_hidden_states=True)
    assert len(sizes) == 3  # of two, two and one
    expected = model(**inputs, output_hidden_states=True)
    assert distance(actual.logits, expected.logits) < 1e-5
    for state, expected_state in zip(actual.hidden_states, expected.hidden_states, strict=True):
        assert distance(state, expected_state) < 1e-5
    as_tuple = optimize(model, exact=True).base_model(**inputs, return_dict=False)
    assert_close(as_tuple, model.base_model(**inputs, return_dict=False), rtol=1e-4, atol=1e-5)


def test_masks_are_divided_with_the_frames_that_they_are_of(monkeypatch):
    model = make(ARCHITECTURES["lrcn"])
    pixels = clips(model, batch=5)
    mask = torch.arange(4) < torch.tensor([[4], [3], [2], [1], [4]])
    monkeypatch.setattr(optimization, "VALUES_IN_A_PART", 2 * pixels[0].numel())
    actual = optimize(model, exact=True)(pixel_values_videos=pixels, frame_mask=mask)
    assert_close(actual.logits, model(pixel_values_videos=pixels, frame_mask=mask).logits, rtol=1e-4, atol=1e-5)


@each_of_ours
def test_a_trunk_alone_is_optimized(architecture):
    trunk = make(architecture).base_model
    inputs = make_inputs(trunk)
    features = optimize(trunk).get_features(**inputs)
    assert distance(features.float(), trunk.get_features(**inputs)) < 0.02


@pytest.mark.parametrize("exact", [True, False])
@each_of_ours
def test_without_packed_convolutions_the_scores_are_the_same(architecture, exact, monkeypatch):
    model = make(architecture)
    optimized = optimize(model, exact=exact)
    packed = optimized(**make_inputs(model)).logits
    monkeypatch.setattr(optimization, "has_packed_convolutions", lambda: False)
    assert distance(optimized(**make_inputs(model)).logits, packed) < (1e-5 if exact else 0.02)


def test_a_processor_without_bfloat16_keeps_float32(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True})
    assert optimize(make(ARCHITECTURES["c3d"])).dtype == torch.float32


@needs_bfloat16
def test_the_head_keeps_its_digits():
    optimized = optimize(make(ARCHITECTURES["video_resnet"]))
    assert optimized.get_head().classifier.weight.dtype == torch.float32
    assert optimized.base_model.dtype == torch.bfloat16


def test_an_optimized_model_is_not_saved(tmp_path):
    with pytest.raises(RuntimeError, match="save the original"):
        optimize(make(ARCHITECTURES["c3d"])).save_pretrained(tmp_path)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_an_optimized_model_can_be_copied_and_sent_to_a_process(duplicate):
    model = make(ARCHITECTURES["video_resnet"])
    optimized = optimize(model)
    expected = optimized(clips(model)).logits
    assert_close(duplicate(optimized)(clips(model)).logits, expected, rtol=0, atol=0)


def test_weights_changed_by_a_cast_are_packed_again():
    model = make(ARCHITECTURES["video_resnet"])
    optimized = optimize(model, exact=True)
    optimized(clips(model))
    optimized.base_model.bfloat16().float()  # the digits are gone
    assert 1e-4 < distance(optimized(clips(model)).logits, model(clips(model)).logits) < 0.02


def test_optimizing_twice_changes_nothing():
    model = make(ARCHITECTURES["video_resnet"])
    optimized = optimize(model)
    assert_close(optimize(optimized)(clips(model)).logits, optimized(clips(model)).logits, rtol=0, atol=0)


def test_the_gradient_of_the_input_is_that_of_the_original():
    model = make(ARCHITECTURES["video_resnet"])
    gradients = []
    for differentiable in (model, optimize(model, exact=True)):
        pixels = clips(model).requires_grad_()
        differentiable(pixels).logits[:, 0].sum().backward()
        gradients.append(pixels.grad)
    assert distance(*gradients) < 1e-4


def test_models_of_transformers_are_taken():
    config = VideoMAEConfig(
        image_size=32, num_frames=4, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    torch.manual_seed(0)
    model = VideoMAEForVideoClassification(config).eval()
    pixels = torch.randn(2, 4, 3, 32, 32)
    expected = model(pixels).logits
    assert distance(optimize(model, exact=True)(pixels).logits, expected) < 1e-5
    assert distance(optimize(model)(pixels).logits.float(), expected) < 0.05


@torch.no_grad()
@pytest.mark.parametrize("activation", optimization.ACTIVATIONS)
@pytest.mark.parametrize(
    ("convolution", "norm", "size"),
    [
        (nn.Conv3d(4, 6, 3, padding=1, bias=False), nn.BatchNorm3d(6), (2, 4, 3, 8, 8)),
        (nn.Conv3d(4, 6, (1, 3, 3), stride=(1, 2, 2)), nn.BatchNorm3d(6), (2, 4, 3, 8, 8)),
        (nn.Conv3d(4, 6, (3, 1, 1), dilation=(2, 1, 1)), nn.BatchNorm3d(6, affine=False), (2, 4, 5, 8, 8)),
        (nn.Conv3d(4, 4, 3, groups=4), nn.BatchNorm3d(4), (2, 4, 3, 8, 8)),
        (nn.Conv2d(4, 6, 3, groups=2), nn.BatchNorm2d(6, eps=0.1), (2, 4, 8, 8)),
        (nn.Conv2d(4, 6, 1), nn.SyncBatchNorm(6), (2, 4, 8, 8)),
    ],
)
def test_convolution_norm_and_activation_become_one(convolution, norm, activation, size):
    original, sequential = fused(convolution, train(norm), activation())
    assert kinds(sequential) == ["PackedConvolution", "Identity", "Identity"]
    pixels = torch.randn(size)
    assert_close(sequential(pixels), original(pixels), rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(
    ("modules", "expected"),
    [
        ([nn.Conv3d(4, 4, 1), nn.ReLU(), nn.BatchNorm3d(4)], ["PackedConvolution", "Identity", "BatchNorm3d"]),
        ([nn.Conv3d(4, 4, 1), nn.GELU()], ["PackedConvolution", "GELU"]),
        ([nn.BatchNorm3d(4), nn.Conv3d(4, 4, 1)], ["BatchNorm3d", "PackedConvolution"]),
        (
            [nn.Conv3d(4, 4, 1), nn.BatchNorm3d(4, track_running_stats=False)],
            ["PackedConvolution", "BatchNorm3d"],
        ),
        ([nn.Conv3d(4, 4, 3, padding="same"), nn.BatchNorm3d(4)], ["Conv3d", "BatchNorm3d"]),
        ([nn.Conv3d(4, 4, 3, padding=1, padding_mode="replicate"), nn.ReLU()], ["Conv3d", "ReLU"]),
    ],
)
def test_what_cannot_be_fused_is_left(modules, expected):
    original, sequential = fused(*modules)
    assert kinds(sequential) == expected
    pixels = torch.randn(2, 4, 3, 8, 8)
    assert_close(sequential(pixels), original(pixels), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_relu_used_twice_and_a_second_size_of_input_are_right():
    relu = nn.ReLU(inplace=True)
    original, sequential = fused(nn.Conv2d(3, 8, 3), relu, nn.Conv2d(8, 4, 3), relu)
    for size in ((1, 3, 16, 16), (3, 3, 9, 33)):
        pixels = torch.randn(size)
        assert_close(sequential(pixels), original(pixels), rtol=1e-4, atol=1e-5)


def test_a_sequential_that_runs_its_layers_otherwise_is_not_fused():
    class Skipping(nn.Sequential):
        def forward(self, hidden):
            return self[0](hidden)

    model = make(ARCHITECTURES["c3d"])
    model.extra = Skipping(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    assert [type(layer) for layer in optimize(model).extra] == [PackedConvolution, nn.BatchNorm2d]


def test_the_public_name_is_the_function():
    assert muybridge.optimize is optimize
