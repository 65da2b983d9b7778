"""The scores of several models on the same videos become one: appearance and motion, as in the two-stream network.

Shapes: S models, N videos, L labels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muybridge.evaluation.scores import Scores, log_sigmoid
from muybridge.text import shorten
from muybridge.types import Protocol

METHODS = ("average", "weighted", "svm")


def fuse(
    scores: Sequence[Scores],
    method: str = "average",
    *,
    weights: Sequence[float] | None = None,
    train: Sequence[Scores] | None = None,
) -> Scores:
    """One score a video from those of several models; the order of videos and labels is that of the first.

    method: "average" takes the mean of the probabilities; "weighted" does so with `weights`, one a model; "svm" fits a
        linear SVM on `train`, the same models' scores of the training videos (Simonyan & Zisserman 2014). Its margins
        are no probabilities, and say little about calibration and likelihood.

    A video that one of the models could not read has no fused score.
    """
    check_method(method, len(scores), weights, train)
    together = align(scores, scores[0].label_names)
    if method == "svm":
        logits = compute_svm_margins(align(train or (), scores[0].label_names), together)
    else:
        logits = average_probabilities(together, weights or [1.0] * len(scores))
    first = together[0]
    unreadable = {video: reason for each in reversed(together) for video, reason in each.unreadable.items()}
    logits[[video in unreadable for video in first.videos]] = np.nan
    return Scores(
        first.videos,
        first.labels,
        first.label_names,
        logits[:, None].astype(np.float32),
        Protocol(aggregation="logits" if first.is_multi_label else "softmax"),
        {video: unreadable[video] for video in first.videos if video in unreadable},
        {
            "fusion": method,
            "weights": list(weights) if weights else None,
            "models": [describe(each) for each in together],
        },
    )


def describe(scores: Scores) -> dict[str, Any]:
    return {**scores.provenance, "protocol": scores.protocol.to_dict()}


def average_probabilities(scores: Sequence[Scores], weights: Sequence[float]) -> NDArray[np.float64]:
    """The logits (N, L) of the weighted mean of the models' probabilities."""
    shares = np.array(weights) / sum(weights)
    present = average_in_logarithms([each.get_video_log_probabilities() for each in scores], shares)
    if not scores[0].is_multi_label:
        return present
    return present - average_in_logarithms([log_sigmoid(-each.get_video_logits()) for each in scores], shares)


def average_in_logarithms(parts: Sequence[NDArray[np.float64]], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithm of the weighted mean of the numbers whose logarithms are given."""
    # A weight of 0 is a logarithm of -inf and adds nothing; NaN, of a video that could not be read, stays NaN.
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.logaddexp.reduce(np.stack(parts) + np.log(shares)[:, None, None], axis=0)


def compute_svm_margins(train: Sequence[Scores], scores: Sequence[Scores]) -> NDArray[np.float64]:
    """The margins (N, L) of a linear SVM fitted on the stacked probabilities of the training videos."""
    refuse_other_kind(train[0], scores[0], "the first file of training videos")
    from muybridge.evaluation.probes import fit_and_decide, linear_svm  # which loads torch

    known, tested = stack_probabilities(train), stack_probabilities(scores)
    is_known, is_tested = (np.logical_not(np.isnan(features).any(axis=1)) for features in (known, tested))
    margins = np.full((len(tested), scores[0].num_labels), np.nan)
    margins[is_tested] = fit_and_decide(
        linear_svm(), known[is_known], train[0].labels[is_known], tested[is_tested], scores[0].num_labels
    )
    return margins


def stack_probabilities(scores: Sequence[Scores]) -> NDArray[np.float64]:
    """The probabilities of all models side by side (N, S·L), each model's divided by their Euclidean length."""
    parts = [np.exp(each.get_video_log_probabilities()) for each in scores]
    return np.concatenate([part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts], axis=1)


def align(scores: Sequence[Scores], label_names: Sequence[str]) -> list[Scores]:
    """The same scores with the videos in the order of the first and the labels in the order of `label_names`."""
    return [align_with(each, scores[0], label_names, number) for number, each in enumerate(scores, start=1)]


def align_with(scores: Scores, first: Scores, label_names: Sequence[str], number: int) -> Scores:
    for what, own, others in (
        ("videos", scores.videos, first.videos),
        ("labels", scores.label_names, label_names),
    ):
        differing = sorted(set(own) ^ set(others))
        if differing:
            raise ValueError(
                f"scores can only be fused of the same {what}; those of file {number} differ from the first ones in "
                f"{shorten(differing)}"
            )
    refuse_other_kind(scores, first, f"file {number}")
    positions = {video: position for position, video in enumerate(scores.videos)}
    aligned = reorder(scores.select([positions[video] for video in first.videos]), label_names)
    is_wrong = (aligned.targets != reorder(first, label_names).targets).any(axis=1)
    if is_wrong.any():
        wrong = [video for video, is_other in zip(first.videos, is_wrong, strict=True) if is_other]
        raise ValueError(f"file {number} has other labels than the first for {shorten(wrong)}")
    return aligned


def refuse_other_kind(scores: Scores, first: Scores, name: str) -> None:
    if scores.is_multi_label != first.is_multi_label:
        kinds = {True: "sets of labels", False: "one label a video"}
        raise ValueError(
            f"{name} has {kinds[scores.is_multi_label]}, and the first file {kinds[first.is_multi_label]}; scores can "
            "only be fused of the same kind"
        )


def reorder(scores: Scores, label_names: Sequence[str]) -> Scores:
    columns = {name: column for column, name in enumerate(scores.label_names)}
    return scores.reorder_labels([columns[name] for name in label_names])


def check_method(method: str, num_models: int, weights: Sequence[float] | None, train: Sequence[Scores] | None) -> None:
    if num_models < 2:
        raise ValueError(f"there is {num_models} file of scores; a fusion needs two or more")
    if method not in METHODS:
        raise ValueError(f"the method {method!r} is not known; known are {', '.join(METHODS)}")
    if (weights is not None) != (method == "weighted"):
        raise ValueError(f"the method is {method!r} and weights are {weights}; 'weighted' needs them, and nothing else")
    if (train is not None) != (method == "svm"):
        raise ValueError(f"the method is {method!r}; 'svm' needs the scores of training videos, and nothing else does")
    if weights is not None and (len(weights) != num_models or min(weights) < 0 or not sum(weights) > 0):
        raise ValueError(f"weights are {list(weights)}; there must be {num_models} of them, zero or more, not all zero")
    if train is not None and len(train) != num_models:
        raise ValueError(f"there are {num_models} files of scores and {len(train)} of training videos; be it as many")
