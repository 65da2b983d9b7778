"""Losses, targets and mixtures of classification, each against another formulation."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from muybridge.data import VideoRecord, VideoRecords
from muybridge.objectives import copy_objective
from muybridge.objectives.classification import (
    Task,
    compute_loss,
    compute_top_1,
    encode_labels,
    smooth_targets,
)
from muybridge.objectives.mixing import Box, Mixing, cutmix, draw_share, mixup, place_box
from training_runs import make_tiny_objective

ONE = [Task("only", tuple(f"label {index}" for index in range(5)), 0)]
TWO = [Task("ucf", ("a", "b", "c"), 0), Task("hmdb", ("d", "e"), 3)]


def one_hot(labels, num_labels):
    return nn.functional.one_hot(labels, num_labels).float()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_one_task_is_the_cross_entropy_of_pytorch(smoothing):
    logits, labels, task_ids = torch.randn(6, 5), torch.randint(5, (6,)), torch.zeros(6, dtype=torch.int64)
    loss = compute_loss(logits, smooth_targets(one_hot(labels, 5), task_ids, ONE, smoothing), task_ids, ONE)
    assert_close(loss, nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing))


def test_with_several_tasks_a_clip_counts_in_its_own_softmax_alone():
    logits = torch.randn(4, 5, requires_grad=True)
    labels, task_ids = torch.tensor([2, 0, 3, 4]), torch.tensor([0, 0, 1, 1])
    loss = compute_loss(logits, smooth_targets(one_hot(labels, 5), task_ids, TWO, 0.1), task_ids, TWO)
    first = nn.functional.cross_entropy(logits[:2, :3], labels[:2], label_smoothing=0.1, reduction="sum")
    second = nn.functional.cross_entropy(logits[2:, 3:], labels[2:] - 3, label_smoothing=0.1, reduction="sum")
    assert_close(loss, (first + second) / 4)
    loss.backward()
    assert logits.grad[:2, 3:].abs().max() == 0
    assert logits.grad[2:, :3].abs().max() == 0


def test_the_loss_of_a_set_of_labels_is_the_binary_cross_entropy_of_pytorch():
    task = Task("tags", ("a", "b", "c"), 0, is_exclusive=False)
    logits, targets = torch.randn(4, 3), torch.tensor([[1.0, 1, 0], [0, 0, 0], [1, 1, 1], [0, 1, 0]])
    loss = compute_loss(logits, targets, torch.zeros(4, dtype=torch.int64), [task])
    assert_close(loss, nn.BCEWithLogitsLoss()(logits, targets))


def test_smoothed_sets_of_labels_lie_between_the_labels_and_one_half():
    task = Task("tags", ("a", "b"), 0, is_exclusive=False)
    smoothed = smooth_targets(torch.tensor([[1.0, 0.0]]), torch.zeros(1, dtype=torch.int64), [task], 0.2)
    assert_close(smoothed, torch.tensor([[0.9, 0.1]]))


def test_top_1_is_counted_within_each_clips_own_task():
    logits = torch.tensor([[3.0, 0, 0, 9, 0], [0, 3.0, 0, 9, 0], [9, 0, 0, 0, 1.0], [9, 0, 0, 1.0, 0]])
    targets = one_hot(torch.tensor([0, 2, 4, 3]), 5)
    assert compute_top_1(logits, targets, torch.tensor([0, 0, 1, 1]), TWO) == 0.75


def test_a_record_has_its_label_at_its_place_among_those_of_all_tasks():
    target = encode_labels(VideoRecords([VideoRecord("clip.mp4", "e")]), 0, 1, tasks=TWO)
    assert target["labels"].tolist() == [0, 0, 0, 0, 1]


def test_mixup_is_a_weighted_mean_of_clips():
    clips = torch.randn(3, 2, 1, 4, 4)
    assert_close(mixup(clips, 0.25, torch.tensor([2, 0, 1]))[0], 0.25 * clips[0] + 0.75 * clips[2])


def test_a_mixed_frame_is_real_where_either_clip_has_one():
    mask = torch.tensor([[True, False, False], [True, True, False]])
    assert mixup(mask, 0.25, torch.tensor([1, 0])).tolist() == [[True, True, False], [True, True, False]]


def test_cutmix_pastes_a_rectangle_in_all_frames():
    clips = torch.randn(2, 3, 1, 4, 8)
    mixed = cutmix(clips, Box(1, 2, 2, 4), torch.tensor([1, 0]))
    inside = torch.zeros(4, 8, dtype=torch.bool)
    inside[1:3, 2:6] = True
    assert torch.equal(mixed[0][..., inside], clips[1][..., inside])
    assert torch.equal(mixed[0][..., ~inside], clips[0][..., ~inside])


def test_shares_are_beta_distributed():
    generator = torch.Generator().manual_seed(0)
    shares = torch.tensor([draw_share(0.4, generator) for _ in range(4000)])
    beta = torch.distributions.Beta(0.4, 0.4)
    assert shares.mean().item() == pytest.approx(beta.mean.item(), abs=0.02)
    assert shares.std().item() == pytest.approx(beta.stddev.item(), abs=0.02)


def test_boxes_lie_inside_the_picture_and_have_about_the_area_asked_for():
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        centre = tuple(torch.rand(2, generator=generator).tolist())
        top, left, height, width = place_box(0.75, centre, 40, 60)
        assert 0 <= top <= top + height <= 40
        assert 0 <= left <= left + width <= 60
        assert height * width <= 0.25 * 40 * 60 + 60


def test_without_mixing_clips_stay_as_they_are():
    clips, targets = torch.randn(4, 2, 1, 4, 4), torch.eye(4)
    inputs, same = Mixing().mix({"pixel_values_videos": clips}, targets, torch.Generator())
    assert inputs["pixel_values_videos"] is clips
    assert same is targets


@pytest.mark.parametrize("kind", ["mixup_alpha", "cutmix_alpha"])
def test_mixed_targets_are_distributions(kind):
    clips, targets = torch.randn(4, 2, 1, 8, 8), torch.eye(4)
    mixing, generator = Mixing(**{kind: 0.8}), torch.Generator().manual_seed(1)
    inputs, mixed = mixing.mix({"pixel_values_videos": clips}, targets, generator)
    assert not torch.equal(inputs["pixel_values_videos"], clips)
    assert_close(mixed.sum(1), torch.ones(4))


def test_cutmix_cuts_the_same_part_of_every_picture_and_leaves_sound_alone():
    inputs = {
        "pixel_values_videos": torch.arange(2.0).view(2, 1, 1, 1, 1).expand(2, 3, 3, 8, 8),
        "flow_values": torch.arange(2.0).view(2, 1, 1, 1, 1).expand(2, 3, 2, 16, 16),
        "input_values": torch.arange(2.0).view(2, 1).expand(2, 5),
    }
    for seed in range(20):
        mixed, targets = Mixing(cutmix_alpha=1.0).mix(inputs, torch.eye(2), torch.Generator().manual_seed(seed))
        small, large = mixed["pixel_values_videos"][0, 0, 0], mixed["flow_values"][0, 0, 0]
        assert (small.repeat_interleave(2, 0).repeat_interleave(2, 1) - large).abs().sum() <= 4 * 16 + 4
        assert torch.equal(mixed["input_values"], inputs["input_values"])
        assert targets[0, 0].item() in (pytest.approx(1 - small.mean().item()), 1.0)


def test_cutmix_of_sound_alone_is_refused():
    with pytest.raises(ValueError, match="cutmix cuts pictures, and the network takes input_values; use mixup"):
        Mixing(cutmix_alpha=1.0).mix({"input_values": torch.zeros(2, 5)}, torch.eye(2), torch.Generator())


# The objective itself.


def make_batch(objective):
    shapes = objective.network.config.input_shapes()
    return {
        "views": {"clip": {name: torch.randn(2, *shape) for name, shape in shapes.items()}},
        "targets": {"labels": torch.eye(3)[:2]},
        "index": torch.arange(2),
        "data_set": torch.zeros(2, dtype=torch.int64),
    }


def test_the_loss_is_that_of_the_network_itself():
    objective = make_tiny_objective("c3d").eval()
    batch = make_batch(objective)
    expected = objective.network(**batch["views"]["clip"], labels=torch.tensor([0, 1])).loss
    assert_close(objective(batch).loss, expected)


def test_kept_outputs_of_the_trunk_give_the_same_loss_as_clips():
    objective = make_tiny_objective("c3d").eval()
    batch = make_batch(objective)
    kept = {**batch, "fixed": objective.compute_fixed_outputs(batch)}
    del kept["views"]
    assert_close(objective(kept).loss, objective(batch).loss)


def test_an_objective_is_copied_without_its_records():
    objective = make_tiny_objective("c3d")
    copied = copy_objective(objective)
    assert copied.data is objective.data
    assert copied.network is not objective.network
