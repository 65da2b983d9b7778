"""Which parameters an objective trains, and at what rate."""

import pytest
import torch

from muybridge.models import ARCHITECTURES
from muybridge.training import TrainingSettings
from training_runs import make_tiny_objective


def make_settings(**fields):
    return TrainingSettings(**{"model": "video_resnet", "data": ["clips"], "output": "run", **fields})


def list_trained(objective):
    return {name for name, parameter in objective.network.named_parameters() if parameter.requires_grad}


HEAD = {"head.classifier.weight", "head.classifier.bias"}


def test_with_no_stage_trained_only_the_head_is():
    objective = make_tiny_objective()
    objective.freeze(0)
    assert list_trained(objective) == HEAD


def test_the_last_stages_are_those_next_to_the_head():
    objective = make_tiny_objective()
    objective.freeze(1)
    stage = objective.network.base_model.stages[1]
    last = {f"video_resnet.stages.1.{name}" for name, _ in stage.named_parameters()}
    assert list_trained(objective) == last | HEAD
    objective.freeze(None)
    assert list_trained(objective) == {name for name, _ in objective.network.named_parameters()}


def test_the_norms_of_frozen_stages_keep_their_statistics():
    objective = make_tiny_objective()
    objective.freeze(1)
    objective.set_training_mode()
    model = objective.network
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model(torch.randn(2, 4, 3, 32, 32))
    moved = {name for name, buffer in model.named_buffers() if not torch.equal(buffer, before[name])}
    assert moved
    assert all(name.startswith("video_resnet.stages.1.") for name in moved)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_parameter_is_in_one_group_and_norms_and_biases_do_not_decay(name):
    objective = make_tiny_objective(name)
    groups = objective.get_parameter_groups(make_settings(weight_decay=0.1))
    members = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(members) == sorted(id(parameter) for parameter in objective.parameters())
    for group in groups:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0)


def test_a_stage_learns_slower_the_farther_it_is_from_the_head():
    objective = make_tiny_objective()
    settings = make_settings(learning_rate=1.0, trunk_rate_factor=0.5, layer_decay=0.1)
    groups = objective.get_parameter_groups(settings)
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    assert rates[id(objective.network.get_head().classifier.weight)] == 1.0
    for stage, rate in zip(objective.get_stages(), (0.005, 0.05, 0.5), strict=True):
        assert all(rates[id(parameter)] == pytest.approx(rate) for parameter in stage.parameters())
