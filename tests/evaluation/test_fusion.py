from dataclasses import replace

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from muybridge import Protocol
from muybridge.evaluation import Result, Scores, fuse

NAMES = ["left", "right", "up"]


def make_scores(seed: int, num_videos: int = 30, num_views: int = 2) -> Scores:
    random = np.random.default_rng(seed)
    labels = np.arange(num_videos) % 3
    logits = random.normal(size=(num_videos, num_views, 3)).astype(np.float32)
    logits[np.arange(num_videos), :, labels] += 1
    videos = [f"{number}.mp4" for number in range(num_videos)]
    return Scores(videos, labels, NAMES, logits, Protocol(num_clips=num_views), {}, {"model": str(seed)})


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


@pytest.fixture
def pair():
    return make_scores(0), make_scores(1, num_views=3)


def test_the_average_is_the_mean_of_the_models_probabilities_whatever_their_views(pair):
    fused = fuse(pair)
    expected = (softmax(pair[0].logits).mean(axis=1) + softmax(pair[1].logits).mean(axis=1)) / 2
    np.testing.assert_allclose(np.exp(fused.get_video_log_probabilities()), expected, rtol=1e-5)
    assert [str(protocol) for protocol in fused.protocols] == [str(each.protocol) for each in pair]
    assert Result(fused).metrics["clip_hit_at_1"] is None


def test_weights_are_divided_by_their_sum(pair):
    fused = fuse(pair, "weighted", weights=[1, 3])
    expected = softmax(pair[0].logits).mean(axis=1) / 4 + softmax(pair[1].logits).mean(axis=1) * 3 / 4
    np.testing.assert_allclose(np.exp(fused.get_video_log_probabilities()), expected, rtol=1e-5)
    alone = fuse(pair, "weighted", weights=[0, 2])
    np.testing.assert_allclose(alone.get_video_log_probabilities(), pair[1].get_video_log_probabilities(), atol=1e-6)


def test_the_svm_is_a_linear_one_on_stacked_normalised_probabilities(pair):
    train = make_scores(2, 60), make_scores(3, 60)

    def features(files):
        parts = [softmax(each.logits).mean(axis=1) for each in files]
        return np.hstack([part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts])

    reference = LinearSVC(random_state=0).fit(features(train) / 2**0.5, train[0].labels)
    fused = fuse(pair, "svm", train=train)
    np.testing.assert_allclose(fused.logits[:, 0], reference.decision_function(features(pair) / 2**0.5), atol=1e-3)
    assert Result(fused).metrics["video_hit_at_1"] > 0.6


def make_sets(seed: int, num_views: int = 2, truth: int = 9) -> Scores:
    """Scores of sets of labels, which are the same for the same `truth`."""
    labels = np.random.default_rng(truth).random((30, 3)) < 0.4
    logits = np.random.default_rng(seed).normal(size=(30, num_views, 3)) + 2 * labels[:, None]
    protocol = Protocol(num_clips=num_views, aggregation="logits")
    return Scores([f"{number}.mp4" for number in range(30)], labels, NAMES, logits.astype(np.float32), protocol)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits.astype(np.float64)))


@pytest.mark.parametrize("weights", [None, [1, 3], [0, 2]])
def test_of_sets_of_labels_the_probability_of_each_is_averaged(weights):
    pair = make_sets(0), make_sets(1, num_views=3)
    fused = fuse(pair) if weights is None else fuse(pair, "weighted", weights=weights)
    parts = [sigmoid(each.logits.mean(axis=1)) for each in pair]
    expected = np.average(parts, axis=0, weights=weights)
    np.testing.assert_allclose(np.exp(fused.get_video_log_probabilities()), expected, rtol=1e-5)
    np.testing.assert_array_equal(fused.labels, pair[0].labels)
    assert Result(fused).metrics.keys() == Result(pair[0]).metrics.keys()


def test_probabilities_of_sets_next_to_zero_and_one_keep_their_order():
    scores = make_sets(0, num_views=1)
    certain = replace(scores, logits=np.where(scores.logits > 0, 60, -60) + scores.logits)
    fused = fuse([certain, certain])
    np.testing.assert_allclose(fused.logits, certain.logits, rtol=1e-5)


def test_the_svm_on_sets_of_labels_is_one_for_each_label():
    train, pair = (make_sets(2, truth=8), make_sets(3, truth=8)), (make_sets(0), make_sets(1))

    def features(files):
        parts = [sigmoid(each.logits.mean(axis=1)) for each in files]
        stacked = np.hstack([part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts])
        return stacked / np.linalg.norm(stacked, axis=1, keepdims=True)

    fused = fuse(pair, "svm", train=train)
    for label in range(3):
        reference = LinearSVC(random_state=0).fit(features(train), train[0].labels[:, label])
        expected = reference.decision_function(features(pair))
        np.testing.assert_allclose(fused.logits[:, 0, label], expected, atol=1e-3)


def test_sets_of_labels_are_not_fused_with_single_ones_nor_with_other_sets(pair):
    with pytest.raises(ValueError, match="file 2 has sets of labels, and the first file one label a video"):
        fuse([pair[0], make_sets(0)])
    with pytest.raises(ValueError, match="the first file of training videos has one label a video"):
        fuse([make_sets(0), make_sets(1)], "svm", train=pair)
    other = make_sets(1)
    other.labels[5, 1] = not other.labels[5, 1]
    with pytest.raises(ValueError, match=r"file 2 has other labels than the first for 5.mp4"):
        fuse([make_sets(0), other])


def test_videos_and_labels_are_matched_by_name(pair):
    shuffled = pair[1].select(np.random.default_rng(0).permutation(30)).reorder_labels([2, 0, 1])
    np.testing.assert_array_equal(fuse([pair[0], shuffled]).logits, fuse(pair).logits)


def test_a_video_that_one_model_could_not_read_has_no_fused_score(pair):
    logits = pair[1].logits.copy()
    logits[3] = np.nan
    fused = fuse([pair[0], replace(pair[1], logits=logits, unreadable={"3.mp4": "it is empty"})])
    assert fused.unreadable == {"3.mp4": "it is empty"}
    assert np.flatnonzero(np.logical_not(fused.is_readable)).tolist() == [3]


def test_scores_of_other_videos_or_labels_are_refused(pair):
    with pytest.raises(ValueError, match=r"same videos; those of file 2 differ from the first ones in 29.mp4"):
        fuse([pair[0], pair[1].select(range(29))])
    with pytest.raises(ValueError, match="same labels; those of file 2 differ from the first ones in down, up"):
        fuse([pair[0], replace(pair[1], label_names=["left", "right", "down"])])
    labels = pair[1].labels.copy()
    labels[5] = 0
    with pytest.raises(ValueError, match=r"file 2 has other labels than the first for 5.mp4"):
        fuse([pair[0], replace(pair[1], labels=labels)])


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("mean", {}, "'mean' is not known; known are average, weighted, svm"),
        ("weighted", {}, "'weighted' needs them"),
        ("average", {"weights": [1, 2]}, "'weighted' needs them, and nothing else"),
        ("weighted", {"weights": [1]}, "there must be 2 of them"),
        ("weighted", {"weights": [1, -1]}, "zero or more"),
        ("svm", {}, "'svm' needs the scores of training videos"),
        ("svm", {"train": [make_scores(0)]}, "2 files of scores and 1 of training videos"),
    ],
)
def test_a_method_and_its_settings_must_fit(pair, method, settings, message):
    with pytest.raises(ValueError, match=message):
        fuse(pair, method, **settings)


def test_a_single_file_is_no_fusion(pair):
    with pytest.raises(ValueError, match="a fusion needs two or more"):
        fuse(pair[:1])
