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
from muybridge.training import TrainingSettings
from muybridge.training.averaging import WeightAverage
from muybridge.training.checking import check_caching
from muybridge.training.learner import Learner, task_loss, tasks_of
from muybridge.training.mixing import Mixing, cutmix, draw_box, draw_share, mixup, smooth_targets
from muybridge.training.parameters import freeze, parameter_groups, train_mode
from muybridge.training.progress import keep_until, read_metrics
from muybridge.training.schedules import schedule
from muybridge.training.setup import make_model, new_model
from muybridge.training.trained_model import command_words


def settings(**fields):
    return TrainingSettings(**{"model": "video_resnet", "data": ["clips"], "output": "run", **fields})


def tiny(name="video_resnet"):
    torch.manual_seed(0)
    architecture = ARCHITECTURES[name]
    return architecture.classifier(architecture.tiny_config())


def trained_names(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


# Which parameters are trained.


def test_with_no_stage_trained_only_the_classifier_is():
    model = tiny()
    freeze(model, 0)
    assert trained_names(model) == {"classifier.weight", "classifier.bias"}


def test_the_last_stages_are_those_next_to_the_classifier():
    model = tiny()
    freeze(model, 1)
    last = {f"video_resnet.stages.1.{name}" for name, _ in model.base_model.stages[1].named_parameters()}
    assert trained_names(model) == last | {"classifier.weight", "classifier.bias"}
    freeze(model, None)
    assert trained_names(model) == {name for name, _ in model.named_parameters()}


def test_the_norms_of_frozen_stages_keep_their_statistics():
    model = tiny()
    freeze(model, 1)
    train_mode(model)
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model(torch.randn(2, 4, 3, 32, 32))
    moved = {name for name, buffer in model.named_buffers() if not torch.equal(buffer, before[name])}
    assert moved
    assert all(name.startswith("video_resnet.stages.1.") for name in moved)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_parameter_is_in_one_group_and_norms_and_biases_do_not_decay(name):
    model = tiny(name)
    groups = parameter_groups(model, settings(weight_decay=0.1))
    members = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(members) == sorted(id(parameter) for parameter in model.parameters())
    for group in groups:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0)


def test_a_stage_learns_slower_the_farther_it_is_from_the_classifier():
    model = tiny()
    groups = parameter_groups(model, settings(learning_rate=1.0, trunk_rate_factor=0.5, layer_decay=0.1))
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    assert rates[id(model.get_classifier().weight)] == 1.0
    for stage, rate in zip(model.get_stages(), (0.005, 0.05, 0.5), strict=True):
        assert all(rates[id(parameter)] == pytest.approx(rate) for parameter in stage.parameters())


# Learning rates.


def rates_of(factor, num_steps):
    return [factor(step) for step in range(num_steps)]


def reference_rates(make, num_steps):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(num_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_the_cosine_is_that_of_pytorch():
    expected = reference_rates(lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40), 40)
    assert rates_of(schedule(settings(), 10, 40), 40) == pytest.approx(expected)


def test_the_steps_are_those_of_pytorch():
    fields = {"schedule": "step", "step_epochs": [1.5, 3], "step_factor": 0.2}
    expected = reference_rates(lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, [15, 30], 0.2), 40)
    assert rates_of(schedule(settings(**fields), 10, 40), 40) == pytest.approx(expected)


def test_warming_up_rises_evenly_and_ends_at_the_full_rate():
    factor = schedule(settings(warmup_epochs=0.5, schedule="constant"), 10, 40)
    assert rates_of(factor, 7) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1])


# Targets and mixtures.


def one_task(num_labels=5):
    return tasks_of(["only"], [[f"label {index}" for index in range(num_labels)]])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_one_task_is_the_cross_entropy_of_pytorch(smoothing):
    logits, labels = torch.randn(6, 5), torch.randint(5, (6,))
    tasks, task_ids = one_task(), torch.zeros(6, dtype=torch.int64)
    loss = task_loss(logits, smooth_targets(labels, task_ids, tasks, smoothing), task_ids, tasks)
    assert_close(loss, nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing))


def test_with_several_tasks_a_clip_counts_in_its_own_softmax_alone():
    tasks = tasks_of(["ucf", "hmdb"], [["a", "b", "c"], ["d", "e"]])
    logits = torch.randn(4, 5, requires_grad=True)
    labels, task_ids = torch.tensor([2, 0, 3, 4]), torch.tensor([0, 0, 1, 1])
    loss = task_loss(logits, smooth_targets(labels, task_ids, tasks, 0.1), task_ids, tasks)
    first = nn.functional.cross_entropy(logits[:2, :3], labels[:2], label_smoothing=0.1, reduction="sum")
    second = nn.functional.cross_entropy(logits[2:, 3:], labels[2:] - 3, label_smoothing=0.1, reduction="sum")
    assert_close(loss, (first + second) / 4)
    loss.backward()
    assert logits.grad[:2, 3:].abs().max() == 0
    assert logits.grad[2:, :3].abs().max() == 0


def test_mixup_is_a_weighted_mean_of_clips_and_targets():
    clips, targets = torch.randn(3, 2, 1, 4, 4), torch.eye(3)
    mixed, mixed_targets = mixup(clips, targets, 0.25, torch.tensor([2, 0, 1]))
    assert_close(mixed[0], 0.25 * clips[0] + 0.75 * clips[2])
    assert_close(mixed_targets[0], torch.tensor([0.25, 0.0, 0.75]))


def test_cutmix_pastes_a_rectangle_in_all_frames_and_counts_its_area():
    clips, targets = torch.randn(2, 3, 1, 4, 8), torch.eye(2)
    mixed, mixed_targets = cutmix(clips, targets, (1, 2, 2, 4), torch.tensor([1, 0]))
    inside = torch.zeros(4, 8, dtype=torch.bool)
    inside[1:3, 2:6] = True
    assert torch.equal(mixed[0][..., inside], clips[1][..., inside])
    assert torch.equal(mixed[0][..., ~inside], clips[0][..., ~inside])
    assert_close(mixed_targets[0], torch.tensor([0.75, 0.25]))


def test_shares_are_beta_distributed():
    generator = torch.Generator().manual_seed(0)
    shares = torch.tensor([draw_share(0.4, generator) for _ in range(4000)])
    beta = torch.distributions.Beta(0.4, 0.4)
    assert shares.mean().item() == pytest.approx(beta.mean.item(), abs=0.02)
    assert shares.std().item() == pytest.approx(beta.stddev.item(), abs=0.02)


def test_boxes_lie_inside_the_frame_and_have_about_the_area_asked_for():
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        top, left, height, width = draw_box(0.75, 40, 60, generator)
        assert 0 <= top <= top + height <= 40
        assert 0 <= left <= left + width <= 60
        assert height * width <= 0.25 * 40 * 60 + 60


def test_without_mixing_clips_stay_as_they_are():
    clips, labels, task_ids = torch.randn(4, 2, 1, 4, 4), torch.arange(4), torch.zeros(4, dtype=torch.int64)
    inputs, targets = Mixing(one_task(), settings())(
        {"pixel_values_videos": clips}, labels, task_ids, torch.Generator()
    )
    assert inputs["pixel_values_videos"] is clips
    assert_close(targets, torch.eye(5)[:4])


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixed_targets_are_distributions(kind):
    clips, labels, task_ids = torch.randn(4, 2, 1, 8, 8), torch.arange(4), torch.zeros(4, dtype=torch.int64)
    mixing = Mixing(one_task(), settings(**{kind: 0.8}))
    inputs, targets = mixing({"pixel_values_videos": clips}, labels, task_ids, torch.Generator().manual_seed(1))
    assert not torch.equal(inputs["pixel_values_videos"], clips)
    assert_close(targets.sum(1), torch.ones(4))


# The average of the weights, the learner.


def test_the_average_follows_the_weights_by_its_decay():
    model = tiny()
    average = WeightAverage(model, 0.9)
    start = model.classifier.bias.detach().clone()
    expected = start.clone()
    for step in range(5):
        with torch.no_grad():
            model.classifier.bias.add_(step + 1)
        average.update(model)
        expected = 0.9 * expected + 0.1 * model.classifier.bias.detach()
    assert_close(average.model.classifier.bias, expected)
    assert not math.isclose(average.model.classifier.bias[0].item(), model.classifier.bias[0].item())


def test_the_learner_gives_the_same_logits_from_features_as_from_clips():
    model = tiny().eval()
    clips = torch.randn(2, 4, 3, 32, 32)
    learner = Learner(model)
    assert_close(learner(features=model.get_video_features(clips)), learner(pixel_values_videos=clips))


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
    words = shlex.split(shlex.join(command_words(written)))
    read = {name: value for name, value in vars(parser.parse_args(words)).items() if name in vars(written)}
    assert TrainingSettings(**read) == written


def test_changes_that_matter_are_told_from_those_that_do_not():
    earlier = settings()
    assert settings(num_workers=7).changes_from(earlier) == []
    assert settings(learning_rate=0.5, num_workers=7).changes_from(earlier) == ["learning_rate: 0.01 is now 0.5"]


# The log.


def test_a_line_of_metrics_that_a_crash_cut_off_is_passed_over(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 10, "loss": 2.0}\n{"step": 20, "lo')
    assert read_metrics(path) == [{"step": 10, "loss": 2.0}]
    keep_until(path, 10)
    assert path.read_text() == '{"step": 10, "loss": 2.0}\n'


def test_features_are_not_cached_of_a_network_that_scores_each_frame(tmp_path):
    settings = TrainingSettings("lrcn", ["d"], str(tmp_path), trained="classifier", augment=False, cache_features=True)
    architecture = ARCHITECTURES["lrcn"]
    for readout in ("last", "average"):
        model = architecture.classifier(architecture.tiny_config(readout=readout)).eval()
        clip = torch.randn(1, *model.config.input_shape())
        by_features = model.score(model.get_features(clip))
        if readout == "last":
            assert_close(by_features, model(clip).logits)
            check_caching(settings, model)
        else:
            assert (by_features - model(clip).logits).abs().max() > 1e-7
            with pytest.raises(ValueError, match="scores each of its frames; set cache_features=False"):
                check_caching(settings, model)


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
    network, processor = new_model(settings(model=model, model_fields=tiny_fields, **fields), ["a", "b"])
    assert dict(processor.size) == size
    clip = torch.zeros(network.config.num_frames, 3, 200, 240, dtype=torch.uint8)
    assert network(processor(clip, return_tensors="pt").pixel_values_videos).logits.shape == (1, 2)


def test_an_architecture_for_images_is_not_trained_on_videos():
    with pytest.raises(ValueError, match="'vgg' is an architecture for images; put it on frames with model='frame_poo"):
        make_model(settings(model="vgg"), [])
