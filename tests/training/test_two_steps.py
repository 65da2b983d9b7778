"""The classifier first and then all: two optimisers in one run, and a kill may fall on either side of the change."""

import shutil

import pytest
import torch

from muybridge.data.sprites import write_sprites
from muybridge.training import train
from muybridge.training.state import list_saved_states
from training_runs import make_settings, read_weights


@pytest.mark.parametrize(
    ("save_every_steps", "step"), [(None, 4), (1, 7)], ids=["at the change", "within the epoch that follows"]
)
def test_a_run_goes_on_to_the_same_bits_when_killed(tmp_path, save_every_steps, step):
    write_sprites(tmp_path / "data", num_clips=24, num_frames=8, size=32, test_share=1 / 3, show_progress=False)
    fields = {"trained": "two-steps", "average_decay": 0.5, "save_every_steps": save_every_steps}
    train(make_settings(tmp_path / "data", tmp_path / "run", **fields))
    folder = shutil.copytree(tmp_path / "run", tmp_path / "killed")
    shutil.rmtree(folder / "model")
    shutil.rmtree(list_saved_states(folder)[-1])
    assert list_saved_states(folder)[-1].name == f"step-{step:08d}"
    train(make_settings(tmp_path / "data", folder, **fields), resume=True)
    expected, found = read_weights(tmp_path / "run" / "model"), read_weights(folder / "model")
    assert all(torch.equal(found[name], expected[name]) for name in expected)
