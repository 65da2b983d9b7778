import warnings

import numpy as np
import pytest
import sklearn.calibration
import sklearn.metrics

from muybridge.evaluation import metrics

NUM_LABELS = 7


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.fixture
def scores(random):
    return random.normal(size=(200, NUM_LABELS))


@pytest.fixture
def labels(random):
    return random.integers(0, NUM_LABELS, 200)


@pytest.mark.parametrize("k", [1, 3, 5, NUM_LABELS])
def test_hit_at_k_is_the_top_k_accuracy_of_scikit_learn(scores, labels, k):
    expected = sklearn.metrics.top_k_accuracy_score(labels, scores, k=k) if k < NUM_LABELS else 1.0
    assert metrics.hit_at_k(scores, labels, k) == pytest.approx(expected)


def test_of_equal_scores_the_first_labels_win_for_every_k():
    scores, labels = np.zeros((4, 4)), np.arange(4)
    assert [metrics.hit_at_k(scores, labels, k) for k in (1, 2, 3, 4)] == [0.25, 0.5, 0.75, 1.0]


def test_a_video_without_scores_is_a_miss_for_every_k():
    scores = np.array([[0.0, 1.0], [np.nan, np.nan]])
    assert metrics.hit_at_k(scores, np.array([1, 0]), 1) == 0.5
    assert metrics.hit_at_k(scores, np.array([1, 0]), 2) == 0.5


def test_one_sample_is_enough():
    scores, labels = np.array([[0.1, 0.7, 0.2]]), np.array([1])
    guesses = metrics.rank_labels(scores, 1)[:, 0]
    assert metrics.hit_at_k(scores, labels, 1) == 1
    assert metrics.mean_class_accuracy(guesses, labels, 3) == 1
    assert metrics.mean_average_precision(metrics.average_precisions(scores, metrics.one_hot(labels, 3))) == 1
    assert metrics.negative_log_likelihood(np.log(scores), labels) == pytest.approx(-np.log(0.7))
    assert metrics.expected_calibration_error(metrics.reliability_bins(scores, labels)) == pytest.approx(0.3)


@pytest.mark.parametrize("k", [0, NUM_LABELS + 1])
def test_more_guesses_than_labels_are_refused(scores, labels, k):
    with pytest.raises(ValueError, match=rf"num_guesses is {k}; it must lie in \[1, 7\]"):
        metrics.hit_at_k(scores, labels, k)


def test_nothing_and_unequal_numbers_are_refused(scores, labels):
    with pytest.raises(ValueError, match="there are no videos"):
        metrics.hit_at_k(scores[:0], labels[:0], 1)
    with pytest.raises(ValueError, match="there are 200 and 199 entries"):
        metrics.hit_at_k(scores, labels[1:], 1)


def test_the_confusion_matrix_is_that_of_scikit_learn(scores, labels):
    guesses = scores.argmax(axis=1)
    expected = sklearn.metrics.confusion_matrix(labels, guesses, labels=range(NUM_LABELS))
    np.testing.assert_array_equal(metrics.confusion_matrix(guesses, labels, NUM_LABELS), expected)


def test_the_confusion_matrix_leaves_out_what_has_no_answer():
    guesses = np.array([0, metrics.NO_ANSWER, 1])
    np.testing.assert_array_equal(metrics.confusion_matrix(guesses, np.array([0, 0, 0]), 2), [[1, 1], [0, 0]])


def test_the_mean_class_accuracy_is_the_balanced_accuracy_of_scikit_learn_also_where_a_class_is_absent(scores, labels):
    labels[labels == 3] = 4
    guesses = scores.argmax(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of guesses that no video has as its label
        expected = sklearn.metrics.balanced_accuracy_score(labels, guesses)
    assert metrics.mean_class_accuracy(guesses, labels, NUM_LABELS) == pytest.approx(expected)
    assert np.isnan(metrics.class_accuracies(guesses, labels, NUM_LABELS)[3])


def test_a_video_without_an_answer_counts_against_its_class():
    guesses = np.array([0, metrics.NO_ANSWER, 1])
    np.testing.assert_array_equal(metrics.class_accuracies(guesses, np.array([0, 0, 1]), 2), [0.5, 1.0])


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_average_precision_is_that_of_scikit_learn_with_ties_and_without(scores, labels, decimals):
    scores = scores.round(decimals)
    targets = metrics.one_hot(labels, NUM_LABELS)
    precisions = metrics.average_precisions(scores, targets)
    expected = sklearn.metrics.average_precision_score(targets, scores, average=None)
    np.testing.assert_allclose(precisions, expected)
    assert metrics.mean_average_precision(precisions) == pytest.approx(expected.mean())


def test_average_precision_takes_videos_with_several_labels(random, scores):
    targets = random.random((200, NUM_LABELS)) < 0.3
    expected = sklearn.metrics.average_precision_score(targets, scores, average=None)
    np.testing.assert_allclose(metrics.average_precisions(scores, targets), expected)


def test_several_labels_a_video_are_judged_as_scikit_learn_judges_them(random, scores):
    labels = [set(np.flatnonzero(random.random(NUM_LABELS) < 0.3).tolist()) for _ in range(200)]
    targets = metrics.multi_hot(labels, NUM_LABELS)
    assert [set(np.flatnonzero(row).tolist()) for row in targets] == labels
    precisions = metrics.average_precisions(scores, targets)
    macro, micro = (sklearn.metrics.average_precision_score(targets, scores, average=way) for way in ("macro", "micro"))
    assert metrics.mean_average_precision(precisions) == pytest.approx(macro)
    assert metrics.micro_average_precision(scores, targets) == pytest.approx(micro)
    probabilities = 1 / (1 + np.exp(-scores))
    np.testing.assert_allclose(metrics.sigmoid(scores), probabilities, rtol=1e-12)
    per_label = [sklearn.metrics.log_loss(targets[:, each], probabilities[:, each]) for each in range(NUM_LABELS)]
    assert metrics.binary_negative_log_likelihood(scores, targets) == pytest.approx(np.mean(per_label))


def test_probabilities_of_labels_by_themselves_are_exact_for_logits_of_any_size():
    logits = np.array([[-800.0, -40.0, 0.0, 40.0, 800.0]])
    np.testing.assert_allclose(metrics.sigmoid(logits), [[0, np.exp(-40), 0.5, 1, 1]], atol=1e-17)
    assert metrics.binary_negative_log_likelihood(
        logits, np.array([[False, False, True, True, True]])
    ) == pytest.approx(np.log(2) / 5)
    assert metrics.binary_negative_log_likelihood(logits, np.array([[True, False, True, True, True]])) == pytest.approx(
        (800 + np.log(2)) / 5
    )


def test_a_video_without_an_answer_has_no_part_in_the_log_loss_and_is_last_in_every_ranking():
    logits = np.array([[2.0, -1.0], [np.nan, np.nan]])
    targets = np.array([[True, False], [True, True]])
    assert metrics.binary_negative_log_likelihood(logits, targets) == pytest.approx(
        metrics.binary_negative_log_likelihood(logits[:1], targets[:1])
    )
    assert metrics.micro_average_precision(logits, targets) == pytest.approx((1 + 3 / 4 + 3 / 4) / 3)
    assert np.isnan(metrics.binary_negative_log_likelihood(logits[1:], targets[1:]))


def test_average_precision_ranks_what_has_no_answer_last():
    scores, is_positive = np.array([-5.0, np.nan, -9.0]), np.array([True, True, False])
    assert metrics.average_precision(scores, is_positive) == pytest.approx((1 / 1 + 2 / 3) / 2)


def test_the_order_of_videos_without_an_answer_does_not_matter():
    scores, is_positive = np.array([1.0, np.nan, np.nan, np.nan]), np.array([True, True, False, False])
    expected = (1 / 1 + 2 / 4) / 2
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        assert metrics.average_precision(scores[order], is_positive[order]) == pytest.approx(expected)


def test_a_label_without_videos_has_no_average_precision_and_is_left_out_of_the_mean(scores, labels):
    labels[labels == 3] = 4
    precisions = metrics.average_precisions(scores, metrics.one_hot(labels, NUM_LABELS))
    assert np.isnan(precisions[3])
    assert metrics.mean_average_precision(precisions) == pytest.approx(np.delete(precisions, 3).mean())


def test_groups_of_labels_have_the_mean_of_their_precisions():
    precisions = np.array([0.2, 0.4, np.nan, 1.0])
    groups = metrics.group_average_precisions(precisions, {"sports": [0, 1], "music": [2, 3], "none": [2]})
    assert groups["sports"] == pytest.approx(0.3)
    assert groups["music"] == 1.0
    assert np.isnan(groups["none"])


def softmax(scores):
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


def test_the_negative_log_likelihood_is_the_log_loss_of_scikit_learn(scores, labels):
    probabilities = softmax(scores)
    expected = sklearn.metrics.log_loss(labels, probabilities, labels=range(NUM_LABELS))
    assert metrics.negative_log_likelihood(np.log(probabilities), labels) == pytest.approx(expected)


def test_the_binary_likelihood_is_the_mean_log_loss_of_scikit_learn_over_labels(random, scores):
    targets = random.random((200, NUM_LABELS)) < 0.3
    probabilities = 1 / (1 + np.exp(-scores))
    expected = np.mean([sklearn.metrics.log_loss(*pair) for pair in zip(targets.T, probabilities.T, strict=True)])
    assert metrics.binary_negative_log_likelihood(scores, targets) == pytest.approx(expected)
    scores[7] = np.nan
    answered = np.delete(np.arange(200), 7)
    expected = sklearn.metrics.log_loss(targets[answered].ravel(), probabilities[answered].ravel())
    assert metrics.binary_negative_log_likelihood(scores, targets) == pytest.approx(expected)
    assert np.isnan(metrics.binary_negative_log_likelihood(scores[7:8], targets[7:8]))


def test_the_reliability_of_sets_is_the_calibration_curve_of_scikit_learn(random, scores):
    targets = random.random((200, NUM_LABELS)) < 0.3
    probabilities = 1 / (1 + np.exp(-scores))
    accuracies, confidences = sklearn.calibration.calibration_curve(targets.ravel(), probabilities.ravel(), n_bins=15)
    bins = metrics.binary_reliability_bins(probabilities, targets)
    filled = bins.counts > 0
    np.testing.assert_allclose(bins.accuracies[filled], accuracies)
    np.testing.assert_allclose(bins.confidences[filled], confidences)
    assert bins.counts.sum() == 200 * NUM_LABELS


def test_the_calibration_error_is_the_sum_over_bins_of_guo_et_al(scores, labels):
    probabilities = softmax(scores)
    confidences, guesses = probabilities.max(axis=1), probabilities.argmax(axis=1)
    expected = 0.0
    for bin_number in range(15):
        low, high = bin_number / 15, (bin_number + 1) / 15
        inside = [index for index in range(200) if low < confidences[index] <= high]
        if inside:
            accuracy = sum(guesses[index] == labels[index] for index in inside) / len(inside)
            expected += len(inside) / 200 * abs(accuracy - sum(confidences[inside]) / len(inside))
    bins = metrics.reliability_bins(probabilities, labels)
    assert metrics.expected_calibration_error(bins) == pytest.approx(expected)
    assert bins.counts.sum() == 200


def test_a_confidence_that_rounding_lifts_above_one_is_in_the_last_bin():
    bins = metrics.reliability_bins(np.array([[1 + 1e-7, 0.0]]), np.array([0]), num_bins=4)
    assert bins.counts.tolist() == [0, 0, 0, 1]


def test_likelihood_and_calibration_are_of_the_videos_that_gave_an_answer():
    probabilities, labels = np.array([[0.25, 0.75], [np.nan, np.nan]]), np.array([1, 0])
    assert metrics.negative_log_likelihood(np.log(probabilities), labels) == pytest.approx(-np.log(0.75))
    assert metrics.reliability_bins(probabilities, labels).counts.sum() == 1
    assert np.isnan(metrics.negative_log_likelihood(np.log(probabilities[1:]), labels[1:]))
    assert np.isnan(metrics.expected_calibration_error(metrics.reliability_bins(probabilities[1:], labels[1:])))


def test_the_deviation_is_that_of_a_sample():
    mean, deviation = metrics.mean_and_deviation([0.80, 0.82, 0.87])
    assert mean == pytest.approx(0.83)
    assert deviation == pytest.approx(((0.03**2 + 0.01**2 + 0.04**2) / 2) ** 0.5)
    assert np.isnan(metrics.mean_and_deviation([0.8])[1])
