import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from muybridge import Protocol
from muybridge.evaluation import Result, Scores, describe_splits, over_splits

NAMES = ["left", "right", "up", "down", "in", "out"]


def make_scores(logits, labels, unreadable=()) -> Scores:
    logits = np.array(logits, dtype=np.float32)
    videos = [f"{number}.mp4" for number in range(len(logits))]
    reasons = {videos[number]: "it is empty" for number in unreadable}
    logits[list(unreadable)] = np.nan
    return Scores(videos, np.array(labels), NAMES, logits, Protocol(num_clips=logits.shape[1]), reasons, {"model": "m"})


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
    few = result.scores.selected([0, 1, 2])
    few = replace(few, label_names=NAMES[:4], logits=few.logits[..., :4])
    assert Result(few).metrics["video_hit_at_5"] is None
    assert "Hit@5" not in str(Result(few))


def test_groups_have_their_own_precision_and_unknown_labels_in_them_are_named(result):
    assert result.group_average_precisions["sideways"] == pytest.approx(result.average_precisions[[0, 1]].mean())
    with pytest.raises(ValueError, match="the groups name labels that the model does not have: sitting"):
        _ = replace(result, groups={"still": ["sitting"]}).group_average_precisions


def test_a_row_a_label_says_what_it_is_taken_for(result):
    rows = {row["label"]: row for row in result.class_rows()}
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


def test_splits_have_a_mean_and_a_deviation(result):
    better = Result(result.scores.selected([0, 1, 2]))
    mean, deviation = over_splits([result, better])["video_hit_at_1"]
    assert mean == pytest.approx(0.8)
    assert deviation == pytest.approx(0.2 * 2**0.5)
    assert "video Hit@1             80.0% ± 28.3%" in describe_splits([result, better])
