"""Two processes that hold a part of the weights each (FSDP), against two that hold copies (DDP)."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from torch.testing import assert_close
from transformers import AutoModelForVideoClassification

from muybridge.data.sprites import write_sprites
from muybridge.models import ARCHITECTURES
from muybridge.training.progress import read_metrics
from muybridge.training.sharding import check_sharding
from muybridge.training.state import list_saved_states
from training_runs import finish, make_settings, read_weights, start

COPIED = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
SHARDED = (*COPIED, str(Path(__file__).parents[1] / "fsdp_on_cpu.py"))


@pytest.fixture(scope="module")
def make_run(tmp_path_factory):
    """Settings of a run with all that goes over the weights: norms, an average, a limit to gradients, two phases."""
    folder = tmp_path_factory.mktemp("fsdp")
    write_sprites(folder / "data", num_clips=18, num_frames=8, size=32, test_share=1 / 3, show_progress=False)
    fields = {
        "model": "video_resnet",
        "model_fields": dict(ARCHITECTURES["video_resnet"].tiny),
        "batch_size": 2,
        "optimizer": "adamw",
        "trained": "two-steps",
        "dropout": 0.5,
        "average_decay": 0.5,
        "max_gradient_norm": 1.0,
        "accumulation_steps": 3,
        "epochs": 3,
    }
    return lambda name: make_settings(folder / "data", folder / name, **fields)


@pytest.fixture(scope="module")
def sharded(make_run):
    settings = make_run("sharded")
    finish(start(settings, launcher=SHARDED))
    return Path(settings.output)


def test_sharded_weights_learn_what_copied_ones_learn(make_run, sharded):
    settings = make_run("copied")
    finish(start(settings, launcher=COPIED))
    assert_close(read_weights(sharded / "model"), read_weights(Path(settings.output) / "model"), rtol=1e-5, atol=1e-6)
    expected, found = (read_metrics(folder / "metrics.jsonl") for folder in (Path(settings.output), sharded))
    assert [line.get("clip_hit_at_1") for line in found] == [line.get("clip_hit_at_1") for line in expected]


def test_each_process_saves_its_part_and_the_checkpoint_is_whole(sharded):
    for state in list_saved_states(sharded):
        assert {path.name for path in (state / "optimizer_0").glob("*.distcp")} == {"__0_0.distcp", "__1_0.distcp"}
        assert {path.name for path in state.glob("random_states_*")} == {"random_states_0.pkl", "random_states_1.pkl"}
    _, report = AutoModelForVideoClassification.from_pretrained(sharded / "model", output_loading_info=True)
    assert not any(report.values())


def test_a_sharded_run_goes_on_to_the_same_bits(make_run, sharded):
    settings = make_run("continued")
    folder = Path(settings.output)
    shutil.copytree(sharded, folder)
    shutil.rmtree(folder / "model")
    shutil.rmtree(list_saved_states(folder)[-1])  # as if it had been killed in its last epoch
    finish(start(settings, "--resume", launcher=SHARDED))
    expected, found = read_weights(sharded / "model"), read_weights(folder / "model")
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("fields", "remedy"),
    [
        ({"fsdp_version": 1, "cpu_ram_efficient_loading": False}, "set fsdp_version: 2"),
        ({"fsdp_version": 2, "cpu_ram_efficient_loading": True}, "set fsdp_cpu_ram_efficient_loading: false"),
    ],
)
def test_ways_of_sharding_that_do_not_suit_video_networks_are_refused(fields, remedy):
    plugin = FullyShardedDataParallelPlugin(**fields)
    with pytest.raises(ValueError, match=remedy):
        check_sharding(SimpleNamespace(distributed_type=DistributedType.FSDP, fsdp_plugin=plugin))
