from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from muybridge import Protocol
from muybridge.evaluation import Scores
from muybridge.models.heads import average_views

NAMES = ["left", "right", "up"]


@pytest.fixture
def scores() -> Scores:
    logits = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)
    logits[2] = np.nan
    return Scores(
        ["a.mp4", "b/ä.mp4", "c.mp4", "d.mp4"],
        np.array([0, 1, 2, 0]),
        NAMES,
        logits,
        Protocol(num_clips=2),
        {"c.mp4": "it is empty"},
        {"model": "m", "decoder": {"PyAV": "18"}},
    )


@pytest.fixture
def sets(scores) -> Scores:
    """The same with sets of labels: none, one, two, all."""
    labels = np.array([[False, False, False], [True, False, False], [False, True, True], [True, True, True]])
    return replace(scores, labels=labels, protocol=Protocol(num_clips=2, aggregation="logits"))


def test_scores_read_back_as_they_were_written(scores, tmp_path):
    again = Scores.load(scores.save(tmp_path / "deep" / "scores.safetensors"))
    np.testing.assert_array_equal(again.logits, scores.logits)
    np.testing.assert_array_equal(again.labels, scores.labels)
    assert (again.videos, again.label_names) == (scores.videos, scores.label_names)
    assert (again.protocol, again.unreadable, again.provenance) == (
        scores.protocol,
        scores.unreadable,
        scores.provenance,
    )
    assert again.is_readable.tolist() == [True, True, False, True]


def test_sets_of_labels_read_back_as_they_were_written(sets, tmp_path):
    again = Scores.load(sets.save(tmp_path / "scores.safetensors"))
    assert again.is_multi_label
    assert again.labels.dtype == np.bool_
    np.testing.assert_array_equal(again.labels, sets.labels)
    np.testing.assert_array_equal(again.logits, sets.logits)


def test_the_same_scores_make_the_same_file(scores, tmp_path):
    first, second = (scores.save(tmp_path / name).read_bytes() for name in ("1", "2"))
    assert first == second


def test_writing_that_fails_leaves_the_old_file_and_nothing_else(scores, tmp_path):
    path = scores.save(tmp_path / "scores.safetensors")
    before = path.read_bytes()
    with pytest.raises(TypeError, match="not JSON serializable"):
        replace(scores, provenance={"model": object()}).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_file_and_a_foreign_one_are_named(scores, tmp_path):
    path = scores.save(tmp_path / "scores.safetensors")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"scores.safetensors is not a file of scores, or is damaged"):
        Scores.load(path)
    save_file({"weight": np.zeros(2)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"model.safetensors is not a file of scores"):
        Scores.load(tmp_path / "model.safetensors")
    with pytest.raises(FileNotFoundError, match="no such file of scores"):
        Scores.load(tmp_path / "none")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"videos": ["a.mp4", "b.mp4", "c.mp4", "a.mp4"]}, "more than once there is a.mp4"),
        ({"label_names": ["left", "left", "up"]}, "each label must be there once"),
        ({"label_names": ["left", "up"]}, r"the logits are \(4, 2, 3\); for 4 videos and 2 labels"),
        ({"labels": np.array([0, 1, 2])}, "there are 3 labels for 4 videos"),
        ({"labels": np.array([0, 1, 2, 3])}, "labels reach from 0 to 3; there are 3 names"),
        ({"unreadable": {}}, "not so: c.mp4"),
    ],
)
def test_scores_that_contradict_themselves_are_refused(scores, change, message):
    with pytest.raises(ValueError, match=message):
        replace(scores, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"labels": np.zeros((4, 2), dtype=bool)},
            r"the sets of labels are \(4, 2\) of bool; .* must be \(4, 3\) of bool",
        ),
        ({"labels": np.zeros((4, 3), dtype=int)}, r"\(4, 3\) of int64; .* must be \(4, 3\) of bool"),
        ({"protocol": Protocol(num_clips=2)}, "averages the softmax of views, which sets of labels do not have"),
    ],
)
def test_sets_of_labels_that_contradict_the_rest_are_refused(sets, change, message):
    with pytest.raises(ValueError, match=message):
        replace(sets, **change)


def test_of_a_set_every_label_has_a_probability_by_itself(sets):
    readable = sets.select([0, 1, 3])
    expected = 1 / (1 + np.exp(-readable.logits.astype(np.float64).mean(axis=1)))
    np.testing.assert_allclose(np.exp(readable.get_video_log_probabilities()), expected)


def test_sets_of_labels_are_reordered_with_their_names(sets):
    turned = sets.select([2, 1]).reorder_labels([2, 0, 1])
    assert turned.label_names == ["up", "left", "right"]
    np.testing.assert_array_equal(turned.labels, [[True, False, True], [False, True, False]])


@pytest.mark.parametrize("aggregation", ["softmax", "logits"])
def test_videos_are_judged_as_the_model_averages_its_views(scores, aggregation):
    scores = replace(scores, protocol=Protocol(num_clips=2, aggregation=aggregation))
    expected = average_views(torch.from_numpy(scores.logits), aggregation).softmax(dim=-1).numpy()
    np.testing.assert_allclose(np.exp(scores.get_video_log_probabilities()), expected, rtol=1e-5)


def test_videos_can_be_selected_and_labels_reordered(scores):
    swapped = scores.select([3, 2]).reorder_labels([2, 0, 1])
    assert swapped.videos == ["d.mp4", "c.mp4"]
    assert swapped.label_names == ["up", "left", "right"]
    assert [swapped.label_names[label] for label in swapped.labels] == ["left", "up"]
    np.testing.assert_array_equal(swapped.logits[0], scores.logits[3][:, [2, 0, 1]])
