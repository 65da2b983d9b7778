from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from torch.testing import assert_close
from transformers import AutoModelForVideoClassification

from muybridge import AutoVideoProcessor, Protocol
from muybridge.data import NO_LABEL, VideoRecord, VideoRecords
from muybridge.data.targets import Labels
from muybridge.evaluation import PROBES, Features, extract_features, probe
from muybridge.evaluation.probes import make_feature_network
from muybridge.models.inspection import make_random_inputs
from muybridge.models.pooling import pool_positions
from muybridge.models.registry import list_architectures

NAMES = ["left", "right", "up", "down"]


def make_features(seed: int, num_videos: int = 60, num_labels: int = 3) -> Features:
    random = np.random.default_rng(seed)
    labels = np.arange(num_videos) % num_labels
    values = (random.normal(size=(num_videos, 8)) + 3 * np.eye(8)[labels]).astype(np.float32)
    return Features(values, [f"{number}.mp4" for number in range(num_videos)], labels, NAMES, Protocol())


@pytest.fixture
def train():
    return make_features(0)


@pytest.fixture
def test():
    return make_features(1, 30)


def test_the_svm_is_that_of_scikit_learn_on_normalised_features(train, test):
    reference = LinearSVC(C=0.5, random_state=0).fit(unit(train.values), train.labels)
    logits = probe(train, test, "svm", cost=0.5).scores.logits[:, 0]
    np.testing.assert_allclose(logits[:, :3], reference.decision_function(unit(test.values)), atol=1e-4)
    assert (logits[:, 3] < logits[:, :3].min()).all()  # a label that no training video has


def test_the_logistic_regression_is_that_of_scikit_learn_on_standardised_features(train, test):
    mean, deviation = train.values.mean(axis=0), train.values.std(axis=0)
    reference = LogisticRegression(max_iter=1000).fit((train.values - mean) / deviation, train.labels)
    expected = reference.predict_proba((test.values - mean) / deviation)
    logits = probe(train, test, "logistic").scores.logits[:, 0, :3]
    np.testing.assert_allclose(torch.from_numpy(logits).softmax(dim=-1), expected, atol=1e-4)


@pytest.mark.parametrize("temperature", [0.07, 0.001, None])
def test_neighbours_vote_with_the_exponential_of_their_cosine(train, test, temperature):
    known, asked = (torch.nn.functional.normalize(torch.from_numpy(each.values).double()) for each in (train, test))
    cosines, nearest = (asked @ known.T).topk(5)
    weights = (cosines / temperature).softmax(dim=1) if temperature else torch.full_like(cosines, 1 / 5)
    votes = torch.zeros(30, 3, dtype=torch.double).scatter_add_(1, torch.from_numpy(train.labels)[nearest], weights)
    result = probe(train, test, "knn", num_neighbours=5, temperature=temperature)
    assert_close(torch.from_numpy(result.scores.logits[:, 0, :3]).double().exp(), votes, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("classifier", PROBES)
def test_every_classifier_learns_and_two_labels_are_enough(classifier):
    train, test = make_features(0, num_labels=2), make_features(1, 30, num_labels=2)
    assert probe(train, test, classifier).metrics["video_hit_at_1"] > 0.9


def make_sets(seed: int, num_videos: int = 60) -> Features:
    """Features of videos with sets of labels; none has the last one, and in training all have the first."""
    random = np.random.default_rng(seed)
    labels = (random.random((num_videos, 4)) < 0.4).astype(np.int64)
    labels[:, 3], labels[:, 0] = 0, 1
    values = (random.normal(size=(num_videos, 8)) + 2 * labels @ np.eye(4, 8)).astype(np.float32)
    return Features(values, [f"{number}.mp4" for number in range(num_videos)], labels, NAMES, Protocol())


def unit(values):
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def test_of_sets_of_labels_each_has_its_own_svm():
    train, test = make_sets(0), make_sets(1, 30)
    result = probe(train, test, "svm", cost=0.5)
    logits = result.scores.logits[:, 0]
    for label in (1, 2):
        reference = LinearSVC(C=0.5, random_state=0).fit(unit(train.values), train.labels[:, label])
        np.testing.assert_allclose(logits[:, label], reference.decision_function(unit(test.values)), atol=1e-4)
    assert (logits[:, 0] > 0).all()
    assert (logits[:, 3] < 0).all()
    assert result.scores.is_multi_label
    assert result.metrics["mean_average_precision"] > 0.7


def test_of_sets_of_labels_each_has_its_own_logistic_regression():
    train, test = make_sets(0), make_sets(1, 30)
    mean, deviation = train.values.mean(axis=0), train.values.std(axis=0)
    scores = probe(train, test, "logistic").scores
    for label in (1, 2):
        reference = LogisticRegression(max_iter=1000).fit((train.values - mean) / deviation, train.labels[:, label])
        expected = reference.predict_proba((test.values - mean) / deviation)[:, 1]
        np.testing.assert_allclose(1 / (1 + np.exp(-scores.logits[:, 0, label])), expected, atol=1e-4)


def test_neighbours_vote_for_each_label_of_a_set():
    train, test = make_sets(0), make_sets(1, 30)
    nearest = (unit(test.values) @ unit(train.values).T).argsort(axis=1)[:, -5:]
    expected = train.labels[nearest].mean(axis=1)
    scores = probe(train, test, "knn", num_neighbours=5, temperature=None).scores
    votes = np.exp(scores.get_video_log_probabilities())
    np.testing.assert_allclose(votes[:, 1:3], expected[:, 1:3], atol=1e-6)


def test_sets_of_labels_are_matched_by_name():
    train, test = make_sets(0), make_sets(1, 30)
    turned = replace(test, labels=test.labels[:, ::-1], label_names=NAMES[::-1])
    assert probe(train, turned).metrics == pytest.approx(probe(train, test).metrics)
    with pytest.raises(ValueError, match="one has sets of labels and the other one label a video"):
        probe(train, make_features(1, 30))


def test_a_classifier_is_fitted_and_judged_on_labelled_videos_alone(train, test):
    unlabelled = test.labels.copy()
    unlabelled[[3, 5]] = NO_LABEL
    with pytest.raises(ValueError, match=r"2 of 30 test videos have no label: 3.mp4, 5.mp4; leave them out"):
        probe(train, replace(test, labels=unlabelled))
    with pytest.raises(ValueError, match=r"2 of 30 training videos have no label: 3.mp4, 5.mp4"):
        probe(replace(test, labels=unlabelled), test)
    with pytest.raises(ValueError, match="have 1 label: left; a classifier needs two or more"):
        probe(replace(train, labels=np.zeros_like(train.labels)), test)


def test_labels_of_test_and_training_are_matched_by_name(train, test):
    turned = replace(test, labels=3 - test.labels, label_names=NAMES[::-1])
    assert probe(train, turned).metrics == probe(train, test).metrics
    with pytest.raises(ValueError, match="labels that the training data lack: in; the training data have left"):
        probe(train, replace(test, label_names=["left", "right", "in"]))


def test_an_unknown_classifier_lists_the_known_ones(train, test):
    with pytest.raises(ValueError, match="'forest' is not known; known are svm, logistic, knn"):
        probe(train, test, "forest")


def test_features_are_those_of_the_model_averaged_over_views(checkpoints, videos):
    features = extract_features(checkpoints[0], videos, "video-10x1")
    model = AutoModelForVideoClassification.from_pretrained(checkpoints[0]).eval()
    processor = AutoVideoProcessor.from_pretrained(checkpoints[0])
    views = processor(videos[0].source, num_clips=10, num_frames=4, return_tensors="pt").pixel_values_videos
    with torch.no_grad():
        assert_close(
            torch.from_numpy(features.values[:1]), model.get_features(pixel_values_videos=views), rtol=1e-4, atol=1e-5
        )
    assert features.values.shape == (10, model.config.hidden_size)
    assert features.unreadable.keys() == {"up/broken.mp4"}


def test_videos_without_labels_have_features_and_those_with_sets_keep_them(checkpoints, videos):
    expected = extract_features(checkpoints[0], videos, "clip")
    bare = VideoRecords([VideoRecord(record.source) for record in videos])
    unlabelled = extract_features(checkpoints[0], bare, "clip")
    assert_close(unlabelled.values, expected.values, rtol=0, atol=0, equal_nan=True)
    assert (unlabelled.labels == NO_LABEL).all()
    sets = [VideoRecord(bare[0].source, targets={"labels": Labels(("up", "left"))}),
            VideoRecord(bare[1].source, targets={"labels": Labels(())}), bare[2]]  # fmt: skip
    features = extract_features(checkpoints[0], VideoRecords(sets), "clip")
    assert features.label_names == ["left", "up"]
    assert features.labels.tolist() == [[1, 1], [0, 0], [NO_LABEL, NO_LABEL]]
    with pytest.raises(ValueError, match=r"1 of 3 training videos have no label: 2.mp4"):
        probe(features, features)


def test_records_that_come_one_by_one_have_the_features_of_all_at_once(checkpoints, videos):
    expected = extract_features(checkpoints[0], videos, "clip")
    bare = extract_features(checkpoints[0], (VideoRecord(record.source) for record in videos), "clip")
    assert_close(bare.values, expected.values, rtol=0, atol=0, equal_nan=True)
    assert bare.videos == expected.videos
    assert bare.unreadable == expected.unreadable


def test_an_unreadable_video_is_not_learned_from_and_counts_as_wrong(checkpoints, videos):
    features = extract_features(checkpoints[0], videos)
    result = probe(features, features, "knn", num_neighbours=1)
    assert result.metrics["video_hit_at_1"] == 9 / 10
    assert result.metrics["clip_hit_at_1"] is None
    assert result.scores.unreadable.keys() == {"up/broken.mp4"}


@pytest.mark.parametrize(
    "architecture",
    list_architectures("video-classification").values(),
    ids=list_architectures("video-classification").keys(),
)
def test_every_stage_of_every_architecture_gives_features(architecture):
    torch.manual_seed(0)
    model = architecture.task_model(architecture.tiny_config()).eval()
    inputs = make_random_inputs(model, 2)
    with torch.no_grad():
        hidden = model.base_model(**inputs, output_hidden_states=True).hidden_states
        for stage in range(len(model.get_stages())):
            features = make_feature_network(model, stage)(**inputs)["features"]
            assert features.shape[0] == 2
            assert features.ndim == 2
            if len(hidden) == len(model.get_stages()):
                assert_close(features, pool_positions(hidden[stage], 2))


def test_a_layer_gives_features_by_its_name(checkpoints, videos):
    by_name = extract_features(checkpoints[0], videos, stage="stages.1")
    assert by_name.provenance["stage"] == "stages.1"
    assert_close(by_name.values, extract_features(checkpoints[0], videos, stage=2).values, equal_nan=True)
    with pytest.raises(ValueError, match=r"has no layer 'fc6'; its stages are stem, stages.0, stages.1,"):
        extract_features(checkpoints[0], videos, stage="fc6")


def test_a_stage_that_is_not_there_is_named(checkpoints, videos):
    with pytest.raises(ValueError, match="stage is 9; the model has 3 stages"):
        extract_features(checkpoints[0], videos, stage=9)
