"""What results are made of: pure functions on arrays.

Shapes: N videos, L labels, K guesses, Q bins. Scores (N, L) rise with how likely a label is; labels (N,) are indices.
Where a video has several labels, or none, `targets` (N, L) say which: `multi_hot` makes them of indices. A row of NaN
is a video that gave no answer, because it could not be read: no guess of it is right, and it comes last in every
ranking. Of equal scores the first label wins, as with argmax.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

NO_ANSWER = -1
NUM_BINS = 15

Scores = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]


def has_answer(scores: Scores) -> NDArray[np.bool_]:
    """Which videos (N,) gave scores."""
    return np.logical_not(np.isnan(scores).any(axis=1))


def rank_labels(scores: Scores, num_guesses: int) -> Labels:
    """The labels (N, K) of the highest scores, best first; NO_ANSWER where a video gave none."""
    num_labels = scores.shape[1]
    if not 1 <= num_guesses <= num_labels:
        raise ValueError(f"num_guesses is {num_guesses}; it must lie in [1, {num_labels}], the number of labels")
    if num_guesses == 1:  # the same at a fraction of the time and memory
        order = scores.argmax(axis=1)[:, None]
    else:
        order = np.argsort(-scores, axis=1, kind="stable")[:, :num_guesses]
    return np.where(has_answer(scores)[:, None], order, NO_ANSWER)


def hit_at_k(scores: Scores, labels: Labels, k: int) -> float:
    """The share of videos whose label is among the k best guesses."""
    check_pairs(scores, labels)
    return float((rank_labels(scores, k) == labels[:, None]).any(axis=1).mean())


def confusion_matrix(guesses: Labels, labels: Labels, num_labels: int) -> Labels:
    """How many videos of each label (rows) were taken for each label (columns); those without an answer are in none."""
    check_pairs(guesses, labels)
    matrix = np.zeros((num_labels, num_labels), dtype=np.int64)
    answered = guesses != NO_ANSWER
    np.add.at(matrix, (labels[answered], guesses[answered]), 1)
    return matrix


def class_accuracies(guesses: Labels, labels: Labels, num_labels: int) -> NDArray[np.float64]:
    """The share (L,) of each label's videos that were recognised; NaN for a label that no video has."""
    check_pairs(guesses, labels)
    counts = np.bincount(labels, minlength=num_labels)
    hits = np.bincount(labels[guesses == labels], minlength=num_labels)
    return np.divide(hits, counts, out=np.full(num_labels, np.nan), where=counts > 0)


def mean_class_accuracy(guesses: Labels, labels: Labels, num_labels: int) -> float:
    """The mean over labels of the share recognised, so that rare labels count as much as frequent ones."""
    return float(np.nanmean(class_accuracies(guesses, labels, num_labels)))


def one_hot(labels: Labels, num_labels: int) -> NDArray[np.bool_]:
    """Which label each video has, as (N, L)."""
    return np.asarray(labels)[:, None] == np.arange(num_labels)


def multi_hot(labels: Sequence[Collection[int]], num_labels: int) -> NDArray[np.bool_]:
    """Which labels each video has, as (N, L), from their indices."""
    targets = np.zeros((len(labels), num_labels), dtype=bool)
    for row, own in zip(targets, labels, strict=True):
        row[list(own)] = True
    return targets


def sigmoid(logits: Scores) -> NDArray[np.float64]:
    """The probability (N, L) of each label, independent of the others."""
    half = np.tanh(np.asarray(logits, dtype=np.float64) / 2)  # exact for large numbers, too
    return (1 + half) / 2


def average_precision(scores: Scores, is_positive: ArrayLike) -> float:
    """The mean, over the positives, of the precision at each one's score (N,); NaN where nothing is positive.

    Equal scores are one step of the ranking, so that the order of the videos does not matter.
    """
    positive = np.asarray(is_positive, dtype=bool)
    if not positive.any():
        return float("nan")
    known = np.where(np.isnan(scores), -np.inf, scores)
    order = np.argsort(-known, kind="stable")
    ranked = known[order]
    ends_step = np.append(ranked[1:] != ranked[:-1], True)
    num_taken = np.flatnonzero(ends_step) + 1
    num_found = np.cumsum(positive[order])[ends_step]
    recall_gains = np.diff(num_found, prepend=0) / positive.sum()
    return float((recall_gains * num_found / num_taken).sum())


def average_precisions(scores: Scores, targets: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The average precision (L,) of each label, where `targets` (N, L) says which labels a video has."""
    check_pairs(scores, targets)
    return np.array([average_precision(scores[:, index], targets[:, index]) for index in range(scores.shape[1])])


def micro_average_precision(scores: Scores, targets: NDArray[np.bool_]) -> float:
    """The average precision of all pairs of a video and a label in one ranking: frequent labels count for more."""
    check_pairs(scores, targets)
    return average_precision(np.ravel(scores), np.ravel(targets))


def mean_average_precision(precisions: NDArray[np.float64]) -> float:
    """The mean over the labels that occur; NaN where none does."""
    occurring = precisions[~np.isnan(precisions)]
    return float(occurring.mean()) if len(occurring) else float("nan")


def group_average_precisions(precisions: NDArray[np.float64], groups: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """The mean average precision of each group of labels, such as sports or instruments."""
    return {name: mean_average_precision(precisions[list(members)]) for name, members in groups.items()}


def negative_log_likelihood(log_probabilities: Scores, labels: Labels) -> float:
    """The mean of -log p(label) over the videos that gave an answer."""
    check_pairs(log_probabilities, labels)
    answered = has_answer(log_probabilities)
    if not answered.any():
        return float("nan")
    return float(-log_probabilities[answered, labels[answered]].mean(dtype=np.float64))


def binary_negative_log_likelihood(logits: Scores, targets: NDArray[np.bool_]) -> float:
    """The binary cross-entropy of sets of labels, where sigmoid makes probabilities of `logits` (N, L).

    It is the mean over the labels, and over the videos that gave an answer.
    """
    check_pairs(logits, targets)
    answered = has_answer(logits)
    if not answered.any():
        return float("nan")
    signed = np.where(targets[answered], logits[answered], -logits[answered])
    return float(np.logaddexp(0, -signed).mean(dtype=np.float64))


class ReliabilityBins(NamedTuple):
    """Answers by how sure the model was: the bins' Q + 1 edges, and their counts, mean confidences and accuracies."""

    edges: NDArray[np.float64]
    counts: Labels
    confidences: NDArray[np.float64]
    accuracies: NDArray[np.float64]


def reliability_bins(probabilities: Scores, labels: Labels, num_bins: int = NUM_BINS) -> ReliabilityBins:
    """The best labels of the videos that gave an answer, by their probabilities."""
    check_pairs(probabilities, labels)
    answered = has_answer(probabilities)
    confidence = probabilities[answered].max(axis=1, initial=0).astype(np.float64)
    is_right = rank_labels(probabilities, 1)[answered, 0] == labels[answered]
    return bin_confidences(confidence, is_right, num_bins)


def binary_reliability_bins(
    probabilities: Scores, targets: NDArray[np.bool_], num_bins: int = NUM_BINS
) -> ReliabilityBins:
    """Every label of the videos that gave an answer, by its probability; `targets` (N, L) says whether it is right."""
    check_pairs(probabilities, targets)
    answered = has_answer(probabilities)
    return bin_confidences(probabilities[answered].ravel().astype(np.float64), targets[answered].ravel(), num_bins)


def bin_confidences(
    confidence: NDArray[np.float64], is_right: NDArray[np.bool_], num_bins: int = NUM_BINS
) -> ReliabilityBins:
    """Answers in bins (low, high] of equal width; empty bins have NaN for their means."""
    edges = np.linspace(0, 1, num_bins + 1)
    # Rounding may lift a softmax a hair above 1.
    number = np.clip(np.searchsorted(edges, confidence) - 1, 0, num_bins - 1)
    counts = np.bincount(number, minlength=num_bins)

    def mean_of(values: NDArray[Any]) -> NDArray[np.float64]:
        sums = np.bincount(number, weights=values, minlength=num_bins)
        return np.divide(sums, counts, out=np.full(num_bins, np.nan), where=counts > 0)

    return ReliabilityBins(edges, counts, mean_of(confidence), mean_of(is_right))


def expected_calibration_error(bins: ReliabilityBins) -> float:
    """How far confidence and accuracy lie apart, on average over the videos (Guo et al. 2017)."""
    if not bins.counts.sum():
        return float("nan")
    gaps = np.nan_to_num(np.abs(bins.accuracies - bins.confidences))
    return float((gaps * bins.counts).sum() / bins.counts.sum())


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and the deviation of the sample (divided by n - 1), which is NaN for a single value."""
    if not len(values):
        raise ValueError("there are no values to take the mean of")
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def check_pairs(first: NDArray[Any], second: NDArray[Any]) -> None:
    if len(first) != len(second):
        raise ValueError(f"there are {len(first)} and {len(second)} entries; they must be as many, one a video")
    if not len(first):
        raise ValueError("there are no videos to measure anything on")
