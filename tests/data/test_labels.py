"""The lists of labels have the length and the order of their data sets."""

import pytest

from muybridge.data import DataError
from muybridge.data.labels import DATASETS, read_labels

ANCHORS = {
    "hmdb51": (51, {0: "brush_hair", 20: "kick", 44: "sword", 45: "sword_exercise", 50: "wave"}),
    "imagenet": (1000, {0: "tench", 207: "golden retriever", 639: "maillot tank suit", 999: "toilet tissue"}),
    "kinetics400": (400, {0: "abseiling", 5: "archery", 399: "zumba"}),
    "kinetics600": (600, {0: "abseiling", 599: "zumba"}),
    "sports1m": (487, {0: "boomerang", 54: "tennis", 100: "yağlı güreş", 486: "model aircraft"}),
    "ucf101": (101, {0: "ApplyEyeMakeup", 34: "Hammering", 35: "HammerThrow", 100: "YoYo"}),
}


def test_every_list_has_anchors():
    assert set(ANCHORS) == set(DATASETS)


@pytest.mark.parametrize("name", ANCHORS)
def test_lists_have_their_length_and_repeat_nothing(name: str):
    labels = read_labels(name)
    assert len(labels) == len(set(labels)) == ANCHORS[name][0]


@pytest.mark.parametrize("name", ANCHORS)
def test_known_labels_stand_at_their_index(name: str):
    labels = read_labels(name)
    anchors = ANCHORS[name][1]
    assert {index: labels[index] for index in anchors} == anchors


@pytest.mark.parametrize("name", ["hmdb51", "kinetics400", "kinetics600"])
def test_lists_in_alphabetical_order_are(name: str):
    labels = read_labels(name)
    assert labels == sorted(labels)


def test_ucf101_is_alphabetical_whatever_the_case():
    labels = read_labels("ucf101")
    assert labels == sorted(labels, key=str.lower)


def test_labels_are_read_from_a_file_and_by_the_name_of_a_data_set(tmp_path):
    (tmp_path / "labels.txt").write_text("walk\n\nrun\n")
    assert read_labels(tmp_path / "labels.txt") == ["walk", "run"]
    assert read_labels("kinetics400")[:2] == ["abseiling", "air drumming"]


def test_labels_that_repeat_are_refused(tmp_path):
    (tmp_path / "labels.txt").write_text("walk\nrun\nwalk\n")
    with pytest.raises(DataError, match="repeats walk"):
        read_labels(tmp_path / "labels.txt")


def test_unknown_labels_list_the_known_data_sets():
    with pytest.raises(DataError, match=r"'?nothing'? is neither a file nor a known data set.*hmdb51, imagenet"):
        read_labels("nothing")
