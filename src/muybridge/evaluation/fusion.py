"""The scores of several models on the same videos become one: appearance and motion, as in the two-stream network.

Shapes: S models, N videos, L labels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muybridge.evaluation.probes import decide, linear_svm
from muybridge.evaluation.scores import Scores
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
    together = aligned(scores, scores[0].label_names)
    if method == "svm":
        logits = svm_margins(aligned(train or (), scores[0].label_names), together)
    else:
        logits = log_mean_probabilities(together, weights or [1.0] * len(scores))
    first = together[0]
    unreadable = {video: reason for each in reversed(together) for video, reason in each.unreadable.items()}
    logits[[video in unreadable for video in first.videos]] = np.nan
    return Scores(
        first.videos,
        first.labels,
        first.label_names,
        logits[:, None].astype(np.float32),
        Protocol(),
        {video: unreadable[video] for video in first.videos if video in unreadable},
        {"fusion": method, "weights": list(weights) if weights else None, "models": [about(each) for each in together]},
    )


def about(scores: Scores) -> dict[str, Any]:
    return {**scores.provenance, "protocol": scores.protocol.to_dict()}


def log_mean_probabilities(scores: Sequence[Scores], weights: Sequence[float]) -> NDArray[np.float64]:
    """The logarithm (N, L) of the weighted mean of the models' probabilities."""
    log_probabilities = np.stack([each.video_log_probabilities() for each in scores])  # (S, N, L)
    shares = np.array(weights) / sum(weights)
    # A weight of 0 is a logarithm of -inf and adds nothing; NaN, of a video that could not be read, stays NaN.
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.logaddexp.reduce(log_probabilities + np.log(shares)[:, None, None], axis=0)


def svm_margins(train: Sequence[Scores], scores: Sequence[Scores]) -> NDArray[np.float64]:
    """The margins (N, L) of a linear SVM fitted on the stacked probabilities of the training videos."""
    features = stacked_probabilities(train)
    is_readable = np.logical_not(np.isnan(features).any(axis=1))
    svm = linear_svm().fit(features[is_readable], train[0].labels[is_readable])
    tested = stacked_probabilities(scores)
    margins = np.full((len(tested), scores[0].num_labels), np.nan)
    is_readable = np.logical_not(np.isnan(tested).any(axis=1))
    margins[is_readable] = decide(svm, tested[is_readable], scores[0].num_labels)
    return margins


def stacked_probabilities(scores: Sequence[Scores]) -> NDArray[np.float64]:
    """The probabilities of all models side by side (N, S·L), each model's divided by their Euclidean length."""
    parts = [np.exp(each.video_log_probabilities()) for each in scores]
    return np.concatenate([part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts], axis=1)


def aligned(scores: Sequence[Scores], label_names: Sequence[str]) -> list[Scores]:
    """The same scores with the videos in the order of the first and the labels in the order of `label_names`."""
    return [reordered(each, scores[0], label_names, number) for number, each in enumerate(scores, start=1)]


def reordered(scores: Scores, first: Scores, label_names: Sequence[str], number: int) -> Scores:
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
    positions = {video: position for position, video in enumerate(scores.videos)}
    columns = {name: column for column, name in enumerate(scores.label_names)}
    result = scores.selected([positions[video] for video in first.videos]).with_labels(
        [columns[name] for name in label_names]
    )
    truth = [first.label_names[label] for label in first.labels]
    wrong = [
        video
        for video, label, true in zip(result.videos, result.labels, truth, strict=True)
        if label_names[label] != true
    ]
    if wrong:
        raise ValueError(f"file {number} has other labels than the first for {shorten(wrong)}")
    return result


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
