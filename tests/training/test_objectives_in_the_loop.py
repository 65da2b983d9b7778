"""Any objective is trained by the same loop: resumed to the bit, the same in one process and in two."""

import shutil
from itertools import chain

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoModel

import toy_objectives  # noqa: F401  # registers itself
from muybridge.data.sprites import write_sprites
from muybridge.models import ARCHITECTURES
from muybridge.training import train
from muybridge.training.progress import read_metrics
from muybridge.training.sources import EndlessBatches
from muybridge.training.state import list_saved_states
from training_runs import finish, kill_when, make_settings, read_weights, start

# What is drawn within the network differs between processes.
WITHOUT_DROPOUT = {**ARCHITECTURES["c3d"].tiny, "fully_connected_dropout": 0.0}
LAUNCHER = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
MOMENTUM = {"objective": "toy_momentum", "objective_fields": {"queue_size": 6}, "learning_rate": 0.005}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A flat folder of clips without labels."""
    sprites, folder = tmp_path_factory.mktemp("sprites"), tmp_path_factory.mktemp("clips") / "unlabelled"
    write_sprites(sprites, num_clips=12, num_frames=8, size=32, test_share=0, show_progress=False)
    folder.mkdir()
    for number, path in enumerate(sorted(sprites.rglob("*.mp4"))):
        shutil.copy(path, folder / f"{number}.mp4")
    return folder


def read_last_state(folder):
    """Every tensor of the objective: networks, momentum encoder, queue."""
    from safetensors.torch import load_file

    return load_file(list_saved_states(folder)[-1] / "model.safetensors")


def assert_same_bits(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_what_is_learnt_without_labels_loads_as_features(clips, tmp_path):
    folder = train(make_settings(clips, tmp_path / "run", epochs=1, **MOMENTUM))
    model = AutoModel.from_pretrained(folder)
    assert_same_bits(model.state_dict(), read_weights(folder))
    assert "toy_momentum" in (folder / "README.md").read_text()
    assert any("feature_deviation" in line for line in read_metrics(tmp_path / "run" / "metrics.jsonl"))


def test_a_momentum_encoder_and_a_queue_resume_to_the_bit(clips, tmp_path):
    fields = {**MOMENTUM, "epochs": 3, "average_decay": 0.5, "save_every_steps": 1}
    finish(start(make_settings(clips, tmp_path / "whole", **fields)))
    settings = make_settings(clips, tmp_path / "killed", **fields)
    kill_when(start(settings), lambda: len(list((tmp_path / "killed" / "states").glob("step-00000005*"))) > 0)
    finish(start(settings, "--resume"))
    assert_same_bits(read_weights(tmp_path / "killed" / "model"), read_weights(tmp_path / "whole" / "model"))
    state = read_last_state(tmp_path / "whole")
    assert {"queue", "position"} <= state.keys()
    assert any(name.startswith("momentum_network.") for name in state)
    assert_same_bits(read_last_state(tmp_path / "killed"), state)


def test_a_momentum_encoder_and_a_queue_are_the_same_in_one_process_as_in_two(clips, tmp_path):
    fields = {**MOMENTUM, "epochs": 2, "model_fields": WITHOUT_DROPOUT}
    finish(start(make_settings(clips, tmp_path / "two", batch_size=2, **fields), launcher=LAUNCHER))
    train(make_settings(clips, tmp_path / "one", batch_size=4, **fields))
    one, two = read_last_state(tmp_path / "one"), read_last_state(tmp_path / "two")
    assert int(one["position"]) == int(two["position"]) == 24 % 6
    assert not torch.equal(one["queue"][0], one["queue"][1])
    assert_close(two, one, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labelled") / "sprites"
    write_sprites(folder, num_clips=16, num_frames=8, size=32, test_share=0, show_progress=False)
    return folder


def test_two_loaders_resume_to_the_bit_also_where_the_other_one_is_in_the_middle_of_a_pass(labelled, clips, tmp_path):
    fields = {"objective": "toy_consistency", "other_data": {"unlabelled": str(clips)}, "epochs": 2}
    fields |= {"batch_size": 5, "save_every_steps": 1}
    train(make_settings(labelled, tmp_path / "whole", **fields))
    settings = make_settings(labelled, tmp_path / "cut", **fields)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    shutil.rmtree(tmp_path / "cut" / "model")
    shutil.rmtree(list_saved_states(tmp_path / "cut")[-1])
    train(settings, resume=True)
    assert_same_bits(read_weights(tmp_path / "cut" / "model"), read_weights(tmp_path / "whole" / "model"))


def test_two_loaders_are_the_same_in_one_process_as_in_two(labelled, clips, tmp_path):
    fields = {"objective": "toy_consistency", "other_data": {"unlabelled": str(clips)}, "epochs": 1}
    fields |= {"learning_rate": 0.005, "model_fields": WITHOUT_DROPOUT}
    finish(start(make_settings(labelled, tmp_path / "two", batch_size=2, **fields), launcher=LAUNCHER))
    train(make_settings(labelled, tmp_path / "one", batch_size=4, **fields))
    assert_close(
        read_weights(tmp_path / "two" / "model"), read_weights(tmp_path / "one" / "model"), rtol=1e-4, atol=1e-5
    )


def test_endless_batches_are_those_of_one_process_whatever_the_number_and_begin_anywhere():
    def draw(count, **fields):
        batches = iter(EndlessBatches(5, seed=3, **fields))
        return [next(batches) for _ in range(count)]

    whole = list(chain(*draw(8, batch_size=2, process_index=0, num_processes=1, first=0)))
    assert [epoch for epoch, _ in whole] == [0] * 5 + [1] * 5 + [2] * 5 + [3]
    assert all(sorted(number for _, number in whole[start : start + 5]) == list(range(5)) for start in (0, 5, 10))
    halves = [draw(4, batch_size=2, process_index=index, num_processes=2, first=0) for index in range(2)]
    assert list(chain(*chain(*zip(*halves, strict=True)))) == whole
    later = list(chain(*draw(3, batch_size=2, process_index=0, num_processes=1, first=5)))
    assert later == whole[10:16]


def test_an_objective_that_is_not_there_is_named_beside_those_that_are(clips, tmp_path):
    with pytest.raises(ValueError, match="there is no objective 'simclrr'; there are classification"):
        train(make_settings(clips, tmp_path / "run", objective="simclrr"))


def test_numbers_that_an_objective_does_not_know_are_refused_with_those_it_knows(clips, tmp_path):
    with pytest.raises(
        ValueError, match=r"objective_fields has queue_length.*it has queue_size, momentum, temperature"
    ):
        train(make_settings(clips, tmp_path / "run", objective="toy_momentum", objective_fields={"queue_length": 4}))


def test_a_setting_that_the_objective_does_not_heed_is_refused(clips, tmp_path):
    with pytest.raises(ValueError, match="mixup of the settings means nothing to the objective 'toy_momentum'"):
        train(make_settings(clips, tmp_path / "run", mixup=0.2, **MOMENTUM))


def test_other_data_must_be_just_those_that_the_objective_learns_from(labelled, clips, tmp_path):
    with pytest.raises(ValueError, match="other_data names nothing, and the objective 'toy_consistency' learns from"):
        train(make_settings(labelled, tmp_path / "run", objective="toy_consistency"))
    with pytest.raises(ValueError, match="other_data names target"):
        train(make_settings(labelled, tmp_path / "run", other_data={"target": str(clips)}))
