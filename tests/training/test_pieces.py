"""The parts of the loop, each against another formulation."""

import argparse
import math
import shlex

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from muybridge.cli.train import configure
from muybridge.models import ARCHITECTURES
from muybridge.objectives.networks import make_classifier
from muybridge.training import TrainingSettings
from muybridge.training.averaging import WeightAverage
from muybridge.training.exporting import make_command_words
from muybridge.training.progress import keep_until, read_metrics
from muybridge.training.schedules import make_schedule
from training_runs import make_tiny_objective


def settings(**fields):
    return TrainingSettings(**{"model": "video_resnet", "data": ["clips"], "output": "run", **fields})


# Learning rates.


def list_rates(factor, num_steps):
    return [factor(step) for step in range(num_steps)]


def list_reference_rates(make, num_steps):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(num_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_the_cosine_is_that_of_pytorch():
    expected = list_reference_rates(lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40), 40)
    assert list_rates(make_schedule(settings(), 10, 40), 40) == pytest.approx(expected)


def test_the_steps_are_those_of_pytorch():
    fields = {"schedule": "step", "step_epochs": [1.5, 3], "step_factor": 0.2}
    expected = list_reference_rates(
        lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, [15, 30], 0.2), 40
    )
    assert list_rates(make_schedule(settings(**fields), 10, 40), 40) == pytest.approx(expected)


def test_warming_up_rises_evenly_and_ends_at_the_full_rate():
    factor = make_schedule(settings(warmup_epochs=0.5, schedule="constant"), 10, 40)
    assert list_rates(factor, 7) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1])


# The average of the weights.


def test_the_average_follows_the_weights_by_its_decay():
    objective = make_tiny_objective()
    average = WeightAverage(objective, 0.9)
    bias = objective.network.head.classifier.bias
    expected = bias.detach().clone()
    for step in range(5):
        with torch.no_grad():
            bias.add_(step + 1)
        average.update(objective)
        expected = 0.9 * expected + 0.1 * bias.detach()
    averaged = average.objective.network.head.classifier.bias
    assert_close(averaged, expected)
    assert not math.isclose(averaged[0].item(), bias[0].item())


# Settings.


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"optimizer": "adam"}, "optimizer is 'adam'; it must be one of 'sgd', 'adamw'"),
        ({"batch_size": 0}, "batch_size is 0; it must be 1 or more"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; it must be positive"),
        ({"label_smoothing": 1.0}, r"label_smoothing is 1.0; it must lie in \[0, 1\)"),
        ({"smallest_crop": 0.0}, r"smallest_crop is 0.0; it must lie in \(0, 1\]"),
        ({"mixup": -1.0}, "mixup is -1.0; it must be 0 or more"),
        ({"num_workers": -1}, "num_workers is -1; it must be 0 or more"),
        ({"dropout": 3.0}, r"dropout is 3.0; it must lie in \[0, 1\)"),
        ({"schedule": "step"}, "name the epochs"),
        ({"mixup": 0.2, "cutmix": 0.2}, "choose one of them at most"),
        ({"cache_features": True}, "set trained='classifier' and augment=False"),
    ],
)
def test_settings_that_cannot_be_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        settings(**fields)


def test_settings_come_back_from_their_file(tmp_path):
    saved = settings(learning_rate=0.3, step_epochs=[1.0], model_fields={"depths": [1, 1]})
    saved.save(tmp_path / "settings.json")
    assert TrainingSettings.load(tmp_path / "settings.json") == saved


def test_the_command_on_a_card_is_read_as_the_settings_that_it_was_written_from():
    written = settings(
        data=["one folder", "another"], learning_rate=0.3, weight_decay=0.0, augment=False, dropout=0.25,
        step_epochs=[1.0, 2.5],
        model_fields={"depths": [1, 1], "stem": "basic"}, processor_fields={"fps": None}, trackers=[],
    )  # fmt: skip
    parser = argparse.ArgumentParser()
    configure(parser)
    words = shlex.split(shlex.join(make_command_words(written)))
    read = {name: value for name, value in vars(parser.parse_args(words)).items() if name in vars(written)}
    assert TrainingSettings(**read) == written


def test_changes_that_matter_are_told_from_those_that_do_not():
    earlier = settings()
    assert settings(num_workers=7).list_changes(earlier) == []
    assert settings(learning_rate=0.5, num_workers=7).list_changes(earlier) == ["learning_rate: 0.01 is now 0.5"]


# The log.


def test_a_line_of_metrics_that_a_crash_cut_off_is_passed_over(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 10, "loss": 2.0}\n{"step": 20, "lo')
    assert read_metrics(path) == [{"step": 10, "loss": 2.0}]
    keep_until(path, 10)
    assert path.read_text() == '{"step": 10, "loss": 2.0}\n'


@pytest.mark.parametrize(
    ("model", "fields", "size"),
    [
        ("lrcn", {"num_frames": 4}, {"height": 64, "width": 64}),  # as it was
        ("lrcn", {"image_size": 128}, {"height": 128, "width": 128}),  # squeezed still
        ("c3d", {"num_frames": 16}, {"height": 128, "width": 171}),
        ("c3d", {"image_size": 48, "num_frames": 16}, {"shortest_edge": 48}),
        ("fusion_cnn", {"model_fields": {"image_size": 48, "hidden_sizes": [4, 4, 4], "kernel_sizes": [5, 3, 3]}},
         {"shortest_edge": 48}),
    ],
)  # fmt: skip
def test_a_new_networks_processor_gives_what_the_network_takes(model, fields, size):
    tiny_fields = {**ARCHITECTURES[model].tiny, **fields.pop("model_fields", {})} if model != "lrcn" else {}
    network, processor = make_classifier(settings(model=model, model_fields=tiny_fields, **fields), {"d": ["a", "b"]})
    assert dict(processor.size) == size
    clip = torch.zeros(network.config.num_frames, 3, 200, 240, dtype=torch.uint8)
    assert network(processor(clip, return_tensors="pt").pixel_values_videos).logits.shape == (1, 2)


def test_an_architecture_for_images_is_not_trained_on_videos():
    with pytest.raises(ValueError, match="'vgg' is an architecture for images; put it on frames with model='frame_poo"):
        make_classifier(settings(model="vgg"), {})
