"""Training in bfloat16 on a processor, against float32."""

import pytest
import torch
from torch import nn

from muybridge.data.sprites import write_sprites
from muybridge.training import train
from muybridge.training.precision import pad_short_clips
from training_runs import make_settings, read_weights


def gradients(convolution, clip, dtype):
    """Of the weights and of the clip, for a loss that weighs every output."""
    convolution, clip = convolution.to(dtype), clip.detach().to(dtype).requires_grad_()
    convolution.zero_grad()
    output = convolution(clip)
    (output * torch.linspace(-1, 1, output.numel()).view_as(output).to(dtype)).sum().backward()
    return [convolution.weight.grad.float(), clip.grad.float(), output.float()]


@pytest.mark.parametrize("num_frames", [1, 2, 3, 4])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("kernel", "padding"), [((3, 1, 1), (1, 0, 0)), ((3, 3, 3), (1, 1, 1)), ((5, 1, 1), (2, 0, 0))]
)
def test_gradients_in_bfloat16_are_those_of_float32_however_short_the_clip(num_frames, stride, kernel, padding):
    torch.manual_seed(0)
    convolution = nn.Conv3d(32, 32, kernel, (stride, 1, 1), padding, bias=False).bfloat16()  # what both can represent
    clip = torch.randn(2, 32, num_frames, 4, 4).bfloat16()
    expected = gradients(convolution, clip, torch.float32)
    pad_short_clips(convolution)
    for actual, exact in zip(gradients(convolution, clip, torch.bfloat16), expected, strict=True):
        assert (actual - exact).norm() < 0.01 * exact.norm()


def test_a_step_in_bfloat16_is_that_of_float32_where_clips_are_short(tmp_path):
    data = tmp_path / "data"
    write_sprites(data, num_clips=16, num_frames=8, size=32, test_share=0.5, show_progress=False)

    def weights_after_a_step(name, **fields):
        plain = {"num_frames": 2, "augment": False, "dropout": 0.0, "weight_decay": 0.0, "steps": 1}
        return read_weights(train(make_settings(data, tmp_path / name, **{**plain, "learning_rate": 10.0, **fields})))

    before = weights_after_a_step("before", learning_rate=1e-30)
    exact, rounded = weights_after_a_step("exact"), weights_after_a_step("rounded", mixed_precision="bf16")
    for name, tensor in before.items():
        assert (rounded[name] - exact[name]).norm() < 0.2 * (exact[name] - tensor).norm(), name
