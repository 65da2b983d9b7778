import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import sklearn.metrics
from PIL import Image

from muybridge import Protocol
from muybridge.evaluation import Result, Scores, average_splits, describe_splits

NAMES = ["left", "right", "up", "down", "in", "out"]


def make_scores(logits, labels, unreadable=()) -> Scores:
    logits = np.array(logits, dtype=np.float32)
    videos = [f"{number}.mp4" for number in range(len(logits))]
    reasons = {videos[number]: "it is empty" for number in unreadable}
    logits[list(unreadable)] = np.nan
    labels = np.array(labels)
    protocol = Protocol(num_clips=logits.shape[1], aggregation="softmax" if labels.ndim == 1 else "logits")
    return Scores(videos, labels, NAMES, logits, protocol, reasons, {"model": "m"})


@pytest.fixture
def result() -> Result:
    logits = np.zeros((5, 2, 6))
    for video, views in enumerate([(0, 0), (1, 2), (2, 2), (0, 0), (3, 3)]):
        logits[video, [0, 1], views] = 5, 4  # the first view is the surer
    return Result(make_scores(logits, [0, 1, 2, 3, 3], unreadable=[4]), {"sideways": ["left", "right"]})


def test_views_are_judged_each_and_videos_by_their_mean(result):
    assert result.metrics["clip_hit_at_1"] == 5 / 10
    assert result.metrics["video_hit_at_1"] == 3 / 5
    assert result.guesses.tolist() == [0, 1, 2, 0, -1]


def test_an_unreadable_video_counts_as_wrong_unless_told_otherwise(result):
    lenient = replace(result, unreadable_are_wrong=False)
    assert lenient.metrics["video_hit_at_1"] == 3 / 4
    assert lenient.metrics["clip_hit_at_1"] == 5 / 8
    assert lenient.to_dict()["num_unreadable"] == result.to_dict()["num_unreadable"] == 1
    assert lenient.to_dict()["unreadable"] == {"4.mp4": "it is empty"}
    assert "5 (1 unreadable, counted as wrong)" in str(result)
    assert "4 (1 unreadable, left out)" in str(lenient)


def test_hit_at_5_is_left_out_where_five_guesses_are_all_labels(result):
    assert result.metrics["video_hit_at_5"] is not None
    few = result.scores.select([0, 1, 2])
    few = replace(few, label_names=NAMES[:4], logits=few.logits[..., :4])
    assert Result(few).metrics["video_hit_at_5"] is None
    assert "Hit@5" not in str(Result(few))


def test_groups_have_their_own_precision_and_unknown_labels_in_them_are_named(result):
    assert result.group_average_precisions["sideways"] == pytest.approx(result.average_precisions[[0, 1]].mean())
    with pytest.raises(ValueError, match="the groups name labels that the model does not have: sitting"):
        _ = replace(result, groups={"still": ["sitting"]}).group_average_precisions


def test_a_row_a_label_says_what_it_is_taken_for(result):
    rows = {row["label"]: row for row in result.make_class_rows()}
    assert rows["down"] | {"average_precision": 0} == {
        "label": "down",
        "num_videos": 2,
        "accuracy": 0.0,
        "average_precision": 0,
        "taken_for": "left",
        "times": 1,
    }
    assert rows["in"]["accuracy"] is None


def test_the_folder_of_a_result_holds_json_scores_tables_and_pictures(result, tmp_path):
    folder = result.save(tmp_path / "results")
    facts = json.loads((folder / "results.json").read_text())
    assert facts == json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert facts["protocol"] == {"num_clips": 2, "num_crops": 1, "aggregation": "softmax"}
    assert facts["model"] == "m"
    assert Result(Scores.load(folder / "scores.safetensors")).metrics == result.metrics
    with (folder / "confusion.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["label", *NAMES]
    assert np.array_equal(np.array([row[1:] for row in rows[1:]], dtype=int), result.confusion)
    assert len((folder / "classes.csv").read_text().splitlines()) == 7
    for picture in ("confusion.png", "reliability.png"):
        assert np.asarray(Image.open(folder / picture)).std() > 5


@pytest.fixture
def sets() -> Result:
    """Sets of labels: a video without any, one that cannot be read, and a label that no video has."""
    random = np.random.default_rng(0)
    labels = random.random((40, 6)) < 0.3
    labels[0], labels[:, 5] = False, False
    logits = random.normal(size=(40, 2, 6)) + 2 * labels[:, None]
    groups = {"sideways": ["left", "right"], "out of sight": ["in", "out"]}
    return Result(make_scores(logits, labels, unreadable=[4]), groups)


def test_sets_of_labels_have_the_precisions_of_scikit_learn(sets):
    scores = sets.scores
    ranking = np.where(scores.is_readable[:, None], scores.logits.astype(np.float64).mean(axis=1), -1000)
    precisions = sklearn.metrics.average_precision_score(scores.labels[:, :5], ranking[:, :5], average=None)
    np.testing.assert_allclose(sets.average_precisions[:5], precisions)
    assert np.isnan(sets.average_precisions[5])
    assert sets.metrics["mean_average_precision"] == pytest.approx(precisions.mean())
    assert sets.group_average_precisions["sideways"] == pytest.approx(precisions[:2].mean())
    assert sets.group_average_precisions["out of sight"] == pytest.approx(precisions[4])
    lenient = replace(sets, unreadable_are_wrong=False)
    kept = sklearn.metrics.average_precision_score(
        scores.labels[scores.is_readable][:, :5], ranking[scores.is_readable][:, :5]
    )
    assert lenient.metrics["mean_average_precision"] == pytest.approx(kept)


def test_sets_of_labels_have_the_likelihood_of_scikit_learn_and_no_numbers_of_single_labels(sets):
    readable = sets.scores.select(np.flatnonzero(sets.scores.is_readable))
    probabilities = 1 / (1 + np.exp(-readable.logits.astype(np.float64).mean(axis=1)))
    expected = sklearn.metrics.log_loss(readable.labels.ravel(), probabilities.ravel())
    assert sets.metrics["negative_log_likelihood"] == pytest.approx(expected)
    assert sets.metrics.keys() == {
        "mean_average_precision", "negative_log_likelihood", "expected_calibration_error"
    }  # fmt: skip
    assert "Hit@" not in str(sets)
    assert "40 (1 unreadable, counted as wrong)" in str(sets)
    with pytest.raises(ValueError, match="no video has a best label"):
        _ = sets.guesses


def test_the_folder_of_sets_of_labels_shows_precisions_in_the_place_of_confusions(sets, tmp_path):
    folder = sets.save(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == [
        "classes.csv", "precisions.png", "reliability.png", "results.json", "scores.safetensors"
    ]  # fmt: skip
    facts = json.loads((folder / "results.json").read_text())
    assert facts == json.loads(json.dumps(sets.to_dict(), allow_nan=False))
    assert Result(Scores.load(folder / "scores.safetensors")).metrics == sets.metrics
    with (folder / "classes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == NAMES
    assert [int(row["num_videos"]) for row in rows] == sets.scores.labels.sum(axis=0).tolist()
    assert rows[0].keys() == {"label", "num_videos", "average_precision"}
    assert rows[5]["average_precision"] == ""
    for picture in ("precisions.png", "reliability.png"):
        assert np.asarray(Image.open(folder / picture)).std() > 5


def test_splits_of_sets_of_labels_have_a_mean_and_a_deviation(sets):
    half = Result(sets.scores.select(range(20)))
    values = [sets.metrics["mean_average_precision"], half.metrics["mean_average_precision"]]
    mean, deviation = average_splits([sets, half])["mean_average_precision"]
    assert (mean, deviation) == pytest.approx((np.mean(values), np.std(values, ddof=1)))


def test_splits_have_a_mean_and_a_deviation(result):
    better = Result(result.scores.select([0, 1, 2]))
    mean, deviation = average_splits([result, better])["video_hit_at_1"]
    assert mean == pytest.approx(0.8)
    assert deviation == pytest.approx(0.2 * 2**0.5)
    assert "video Hit@1             80.0% ± 28.3%" in describe_splits([result, better])
