"""Heads: what each computes of a trunk's output, how views are averaged, what a config may say of them."""

import json

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close
from transformers import AutoConfig, AutoModelForVideoClassification

from muybridge.models import HEADS
from muybridge.models.c3d import C3DConfig, C3DForVideoClassification
from muybridge.models.heads import average_logits, average_views
from muybridge.models.lrcn import LRCNConfig, LRCNForVideoClassification
from muybridge.models.simple_cnn import TINY_BACKBONE
from muybridge.models.video_resnet import VideoResNetConfig, VideoResNetForVideoClassification

TASKS = {"motion": ["left", "right"], "shape": ["square", "disc", "star"]}
TINY = {"num_frames": 4, "image_size": 32}


def residual(**fields):
    torch.manual_seed(0)
    config = VideoResNetConfig(**{**TINY, "depths": (1,), "hidden_sizes": (8,), "convolutions": ("3d",), **fields})
    return enlarge(VideoResNetForVideoClassification(config).eval())


def recurrent(**fields):
    torch.manual_seed(0)
    config = LRCNConfig(**{**TINY, "backbone_config": TINY_BACKBONE, "rnn_hidden_size": 6, "num_labels": 3, **fields})
    return enlarge(LRCNForVideoClassification(config).eval())


@torch.no_grad()
def enlarge(model):
    """Classifiers whose probabilities differ."""
    for name, parameter in model.get_head().named_parameters():
        parameter.normal_(std=3.0 if name.endswith("weight") else 0.5)
    return model


def clips(batch=2, num_frames=4, seed=0):
    return torch.randn(batch, num_frames, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def views(num_views=3):
    return torch.stack([clips(seed=seed) for seed in range(num_views)], dim=1)


def frame_logits(model, videos):
    """Of every frame, (B, T, L), written out."""
    features = model.base_model(videos).last_hidden_state
    classifier = model.get_head().classifier
    return features @ classifier.weight.T + classifier.bias


# Averages


@pytest.mark.parametrize("mask", [None, torch.tensor([[1, 1, 0, 1], [1, 0, 0, 0]], dtype=torch.bool)])
def test_the_average_of_probabilities_is_their_mean(mask):
    logits = 5 * torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    weights = torch.ones(2, 4) if mask is None else mask.float()
    weights = weights / weights.sum(1, keepdim=True)
    expected = torch.einsum("bn,bnl->bl", weights, logits.softmax(-1))
    assert_close(average_logits(logits, 1, "softmax", mask).softmax(-1), expected)
    assert_close(average_logits(logits, -2, "softmax", mask).softmax(-1), expected)
    assert_close(average_logits(logits, 1, "logits", mask), torch.einsum("bn,bnl->bl", weights, logits))


def test_probabilities_that_float32_rounds_to_zero_have_a_finite_average():
    logits = torch.tensor([[[0.0, -500.0], [0.0, -400.0]]])
    assert_close(average_logits(logits, 1, "softmax")[0, 1], torch.tensor(-400.0 - 0.6931472))


def test_a_single_view_keeps_its_logits():
    logits = torch.tensor([[[3.0, -2.0]]])
    assert torch.equal(average_views(logits, "softmax"), logits[:, 0])


# What heads compute


def test_a_linear_head_scores_pooled_features():
    model = residual(num_labels=3)
    classifier = model.get_head().classifier
    features = model.get_features(pixel_values_videos=clips())
    assert_close(model(clips()).logits, features @ classifier.weight.T + classifier.bias)
    assert model.get_head().inputs == ("pooler_output",)


def test_dropout_of_the_head_is_that_of_its_input_in_training_alone():
    model = residual(num_labels=3, head={"dropout": 0.5})
    kept = model.get_head_inputs(pixel_values_videos=clips())
    assert torch.equal(model.score(kept), model.score(kept))
    model.train()
    assert not torch.equal(model.score(kept), model.score(kept))


def test_a_frames_head_gives_the_mean_of_the_frames_probabilities():
    model = recurrent(readout="average")
    assert model.config.head == {"name": "frames", "dropout": 0.0, "fusion": "mean", "aggregation": None}
    expected = frame_logits(model, clips()).softmax(-1).mean(1)
    assert_close(model(clips()).logits.softmax(-1), expected)
    of_pooled = model.get_features(pixel_values_videos=clips()) @ model.get_head().classifier.weight.T
    assert (of_pooled.softmax(-1) - expected).abs().max() > 1e-3  # it is not the score of their mean


@pytest.mark.parametrize(("fusion", "expected"), [("mean", "mean"), ("max", "amax"), ("sum", "sum")])
@pytest.mark.parametrize("mask", [None, torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]], dtype=torch.bool)])
def test_a_frames_head_fuses_logits_as_it_is_told(fusion, expected, mask):
    model = recurrent(readout="average", head={"fusion": fusion, "aggregation": "logits"})
    logits = model(clips(), frame_mask=mask).logits
    states = model.base_model(clips(), frame_mask=mask).last_hidden_state
    classifier = model.get_head().classifier
    for video in range(2):
        real = states[video] if mask is None else states[video][mask[video]]
        of_frames = real @ classifier.weight.T + classifier.bias
        assert_close(logits[video], getattr(of_frames, expected)(dim=0))


def test_a_mask_is_kept_with_the_features_that_it_is_of():
    model = recurrent(readout="average")
    mask = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]], dtype=torch.bool)
    kept = model.get_head_inputs(pixel_values_videos=clips(), frame_mask=mask)
    assert kept.keys() == {"last_hidden_state", "frame_mask"}
    as_numbers = {name: value.float() for name, value in kept.items()}
    assert_close(model.score(as_numbers), model(clips(), frame_mask=mask).logits)


def test_labels_that_do_not_exclude_each_other_have_their_logits_averaged():
    model = recurrent(readout="average", problem_type="multi_label_classification")
    assert_close(model(clips()).logits, frame_logits(model, clips()).mean(1))


def test_a_frames_head_refuses_a_trunk_without_features_of_frames():
    model = residual(head={"name": "frames"})
    with pytest.raises(ValueError, match=r"scores the features \(videos, frames, 8\) of frames, and .*use the head 'l"):
        model(clips())


@pytest.mark.parametrize("head", [{}, {"name": "linear"}, {"fusion": "max", "aggregation": "logits"}])
def test_a_head_of_frames_goes_on_from_frame_to_frame(head):
    model = recurrent(readout="last" if head.get("name") == "linear" else "average", head=head or None)
    model.reset_head({"a": ["b", "c"], "d": ["e", "f", "g"]})
    enlarge(model)
    state = None
    for time in range(4):
        output, state = model.step(clips()[:, time], state)
        assert_close(output.logits, model(clips()[:, : time + 1]).logits)


# Several tasks


def multi_task(**fields):
    model = residual(num_labels=2, **fields)
    model.reset_head(TASKS)
    return enlarge(model)


def test_the_logits_of_tasks_stand_one_block_after_the_other():
    model = multi_task()
    names = ["motion: left", "motion: right", "shape: square", "shape: disc", "shape: star"]
    assert list(model.config.id2label.values()) == names
    assert model.config.num_labels == 5
    features = model.get_features(pixel_values_videos=clips())
    blocks = [
        features @ head.classifier.weight.T + head.classifier.bias
        for head in (model.get_head().get_task("motion"), model.get_head().get_task("shape"))
    ]
    assert_close(model(clips()).logits, torch.cat(blocks, dim=1))


def test_views_are_averaged_task_by_task():
    model = multi_task()
    one_by_one = torch.stack([model(views()[:, view]).logits for view in range(3)], dim=1)
    logits = model(views()).logits
    assert_close(logits[:, :2].softmax(-1), one_by_one[..., :2].softmax(-1).mean(1))
    assert_close(logits[:, 2:].softmax(-1), one_by_one[..., 2:].softmax(-1).mean(1))
    as_one = one_by_one.softmax(-1).mean(1)
    assert (logits.softmax(-1) - as_one).abs().max() > 1e-3  # a softmax over all labels would mix the tasks


def test_one_task_is_taken_out_as_a_network_of_its_own(tmp_path):
    model = multi_task()
    alone = model.take_task("shape")
    assert alone.config.id2label == {0: "square", 1: "disc", 2: "star"}
    assert alone.config.head == {"name": "linear", "dropout": 0.0}
    assert_close(alone(clips()).logits, model(clips()).logits[:, 2:])
    assert_close(alone(views()).logits, model(views()).logits[:, 2:])
    alone.save_pretrained(tmp_path)
    loaded = AutoModelForVideoClassification.from_pretrained(tmp_path).eval()
    assert torch.equal(loaded(clips()).logits, alone(clips()).logits)
    with torch.no_grad():
        alone.get_head().classifier.weight.zero_()
    assert model.get_head().get_task("shape").classifier.weight.any()  # it is a copy
    assert model.config.num_labels == 5


def test_a_network_of_several_tasks_is_saved_with_them(tmp_path):
    model = multi_task()
    model.save_pretrained(tmp_path)
    loaded = AutoModelForVideoClassification.from_pretrained(tmp_path).eval()
    assert loaded.config.head["tasks"] == TASKS
    assert torch.equal(loaded(clips()).logits, model(clips()).logits)
    assert_close(loaded.take_task("motion")(clips()).logits, model(clips()).logits[:, :2])


def test_each_task_has_the_head_that_the_network_had():
    model = recurrent(readout="average", head={"dropout": 0.25})
    model.reset_head(TASKS)
    enlarge(model)
    assert model.config.head["head"] == {"name": "frames", "dropout": 0.25, "fusion": "mean", "aggregation": None}
    assert model.get_head().inputs == ("last_hidden_state", "frame_mask")
    shape = model.take_task("shape")
    assert_close(shape(clips()).logits.softmax(-1), frame_logits(shape, clips()).softmax(-1).mean(1))
    assert_close(shape(clips()).logits, model(clips()).logits[:, 2:])


def test_other_labels_make_several_tasks_one_again():
    model = multi_task(head={"dropout": 0.25})
    model.reset_head(["walk", "run"])
    assert model.config.head == {"name": "linear", "dropout": 0.25}
    assert model(clips()).logits.shape == (2, 2)


def test_a_loss_over_several_tasks_is_refused():
    with pytest.raises(ValueError, match=r"several tasks, whose logits have no loss together; .*take_task first"):
        multi_task()(clips(), labels=torch.tensor([0, 1]))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (multi_task, r"has no task 'colour'; it has 'motion', 'shape'"),
        (residual, r"has no task 'colour'; it has none, as its head is of a single one"),
    ],
)
def test_a_task_that_is_not_there_is_refused_with_those_that_are(model, message):
    with pytest.raises(ValueError, match=message):
        model().take_task("colour")


# Another head for the same trunk


def test_another_kind_of_head_can_be_asked_for():
    model = recurrent(readout="average")
    model.reset_head(["walk", "run"], head={"name": "linear"})
    features = model.get_features(pixel_values_videos=clips())
    classifier = model.get_head().classifier
    assert_close(model(clips()).logits, features @ classifier.weight.T + classifier.bias)


def test_a_new_head_is_of_the_type_of_the_weights():
    model = residual().to(torch.bfloat16)
    model.reset_head(TASKS)
    assert {parameter.dtype for parameter in model.get_head().parameters()} == {torch.bfloat16}
    assert model(clips().bfloat16()).logits.dtype == torch.float32


def test_a_new_classifier_begins_small():
    torch.manual_seed(0)
    model = residual()
    model.reset_head(500)
    assert model.get_head().classifier.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert not model.get_head().classifier.bias.any()


# Configs


def test_a_head_survives_json():
    config = recurrent(readout="average", head={"aggregation": "logits"}).config
    again = AutoConfig.for_model(**json.loads(config.to_json_string()))
    assert again.head == config.head == {"name": "frames", "dropout": 0.0, "fusion": "mean", "aggregation": "logits"}


def test_what_a_head_leaves_out_is_as_the_architecture_has_it():
    assert C3DConfig().head == {"name": "linear", "dropout": 0.5}
    assert C3DConfig(head={"name": "linear"}).head == {"name": "linear", "dropout": 0.5}
    frames = {"name": "frames", "dropout": 0.5, "fusion": "sum", "aggregation": "logits"}
    assert C3DConfig(head={"name": "frames", "fusion": "sum", "aggregation": "logits"}).head == frames


def test_dropout_between_fully_connected_layers_is_the_heads_where_it_is_not_stated():
    fields = {**TINY, "depths": (1, 2), "hidden_sizes": (8, 16), "fully_connected_size": 32}
    for head, stated, expected in (({}, None, 0.5), ({"dropout": 0.1}, None, 0.1), ({"dropout": 0.1}, 0.2, 0.2)):
        config = C3DConfig(**fields, head=head, fully_connected_dropout=stated)
        assert C3DForVideoClassification(config).base_model.dropout.p == expected


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({"name": "frame"}, f"there is no head 'frame'; there are {', '.join(HEADS)}"),
        ({"name": "linear", "dropuot": 0.1}, "the head 'linear' has no number dropuot; it has dropout"),
        ({"name": "mean", "dropout": 0.1}, "the head 'mean' has no number dropout; it has none"),
        ({"dropout": 1.0}, r"dropout of the head is 1.0; it must lie in \[0, 1\)"),
        ({"name": "frames", "fusion": "attention"}, "fused by 'mean', 'max', 'sum'"),
        ({"name": "frames", "fusion": "max"}, "only the mean is taken of probabilities: pass aggregation='logits'"),
        ({"name": "frames", "aggregation": "product"}, "it must be 'softmax', 'logits' or None"),
        ({"name": "multi_task", "tasks": {}}, "it must list the labels of one task or more"),
        ({"name": "multi_task", "tasks": {"a": []}}, "it must list the labels of one task or more"),
        ({"name": "multi_task", "tasks": TASKS, "head": {"name": "multi_task"}}, "is 'multi_task' itself"),
        ({"name": "auxiliary"}, "they must name one stage or more, and be two numbers"),
    ],
)
def test_heads_that_cannot_be_are_refused(head, message):
    with pytest.raises(ValueError, match=message):
        VideoResNetConfig(head=head)


def test_tasks_of_other_labels_than_the_config_has_are_refused():
    config = VideoResNetConfig(**TINY, head={"name": "multi_task", "tasks": TASKS}, num_labels=4)
    with pytest.raises(ValueError, match="have 5 labels together, and the config has 4; reset_head with the labels"):
        VideoResNetForVideoClassification(config)


def test_helpers_see_the_stages_that_they_are_named_after():
    """A head with helpers on a trunk for videos' images: any trunk whose stages are maps has them."""
    from muybridge.models.alexnet import AlexNetConfig, AlexNetForImageClassification

    torch.manual_seed(0)
    tiny = {"hidden_sizes": (8, 12, 16, 16, 8), "kernel_sizes": (5, 3, 3, 3, 3), "strides": (2, 1, 1, 1, 1)}
    head = {
        "name": "auxiliary", "dropout": 0.0, "branches": {"conv2": 12}, "sizes": (4, 8), "auxiliary_dropout": 0.0,
        "loss_weight": 0.5, "has_batch_norm": False,
    }  # fmt: skip
    config = AlexNetConfig(
        **tiny, image_size=64, fully_connected_sizes=(24, 20), fully_connected_dropouts=(0.0, 0.0), head=head
    )
    model = AlexNetForImageClassification(config).train()
    images, labels = torch.randn(2, 3, 64, 64), torch.tensor([0, 1])
    helper = model.get_head().helpers["conv2"]
    of_helper = F.cross_entropy(helper(model.get_features("conv2", pixel_values=images)), labels)
    assert_close(model(images, labels=labels).loss, F.cross_entropy(model(images).logits, labels) + 0.5 * of_helper)
