"""Classifiers on features: how much a model knows without being trained further.

scikit-learn is imported where it is used, for training evaluates too and need not wait for it.

Shapes: B videos in a batch, N videos, D features, L labels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel
from transformers.video_processing_utils import VideoProcessorMixin

from muybridge.data import NO_LABEL, VideoRecords
from muybridge.evaluation.evaluate import loaded
from muybridge.evaluation.protocols import get_protocol
from muybridge.evaluation.provenance import describe_model, versions
from muybridge.evaluation.results import Result
from muybridge.evaluation.scores import Scores
from muybridge.evaluation.views import Loading, run_views, video_names
from muybridge.extras import extra
from muybridge.text import shorten
from muybridge.types import Protocol

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin


@dataclass(frozen=True)
class Features:
    """Features (N, D) of videos, NaN for those that could not be read, and everything that is known of the videos.

    `labels` (N,) are `NO_LABEL` where a video has none.
    """

    values: NDArray[np.float32]
    videos: Sequence[str]
    labels: NDArray[np.int64]
    label_names: Sequence[str]
    protocol: Protocol
    unreadable: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def is_readable(self) -> NDArray[np.bool_]:
        return np.logical_not(np.isnan(self.values).any(axis=1))


def extract_features(
    model: PreTrainedModel | str | Path,
    data: VideoRecords,
    protocol: Protocol | str | None = None,
    *,
    stage: int | str | None = None,
    processor: VideoProcessorMixin | None = None,
    **loading: Any,
) -> Features:
    """The features of every video, averaged over its views.

    `stage` is an index into `model.get_stages()`, or the name of any layer ("fc6"), whose output is averaged over space
    and time; None takes the features that the model's classifier would get. `loading` is as in `evaluate`.
    """
    model, processor = loaded(model, processor)
    protocol = get_protocol(protocol, model.config)
    labels = np.array(data.label_ids(), dtype=np.int64)
    network = model.get_video_features if stage is None else stage_features(model, stage)
    outputs = run_views(network, model, processor, data, protocol, Loading(**loading))
    about = {**describe_model(model), **versions(), "stage": stage}
    means, unreadable = outputs.values.mean(axis=1), dict(outputs.unreadable)
    return Features(means, video_names(data), labels, list(data.labels), protocol, unreadable, about)


def stage_features(model: PreTrainedModel, stage: int | str) -> Callable[[Tensor], Tensor]:
    """A function from pixel values (B, T, C, H, W) to what a stage or layer makes of them, pooled: (B, D)."""
    names: Sequence[str] = model.get_stage_names()
    if isinstance(stage, int) and not -len(names) <= stage < len(names):
        raise ValueError(f"stage is {stage}; the model has {len(names)} stages, numbered from 0")
    layer = names[stage] if isinstance(stage, int) else stage
    return lambda pixel_values: pooled(model.get_features(pixel_values, layer), len(pixel_values))


def pooled(hidden: Tensor, num_videos: int) -> Tensor:
    """The mean (B, D) over the positions of maps (B, D, T, H, W) or tokens (B, N, D).

    A stage that works frame by frame has the frames on the batch axis, and they are averaged too.
    """
    if hidden.ndim == 3:
        hidden = hidden.mean(dim=1)
    elif hidden.ndim > 3:
        hidden = hidden.flatten(2).mean(dim=2)
    return hidden.unflatten(0, (num_videos, -1)).mean(dim=1)


def linear_svm(cost: float = 1.0) -> "ClassifierMixin":
    """A linear SVM on L2-normalised features, one label against the rest: as C3D's features were judged."""
    with extra("probes"):
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import Normalizer
        from sklearn.svm import LinearSVC

    return make_pipeline(Normalizer(), LinearSVC(C=cost, random_state=0))


def logistic_regression(cost: float = 1.0) -> "ClassifierMixin":
    """A logistic regression on standardised features: the linear classifier of self-supervised learning."""
    with extra("probes"):
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=cost, max_iter=1000))


def nearest_neighbours(num_neighbours: int = 20, temperature: float | None = 0.07) -> "ClassifierMixin":
    """A vote of the videos nearest by cosine, each with the weight exp(cosine / temperature) (Wu et al. 2018).

    Without a temperature all of them count alike.
    """
    with extra("probes"):
        from sklearn.neighbors import KNeighborsClassifier

    if num_neighbours < 1:
        raise ValueError(f"num_neighbours is {num_neighbours}; it must be 1 or more")
    if temperature is not None and temperature <= 0:
        raise ValueError(f"temperature is {temperature}; it must be positive, or None for votes that count alike")

    def weights(distances: NDArray[np.float64]) -> NDArray[np.float64]:
        # Relative to the nearest, which changes no vote's share and cannot overflow.
        return np.exp((distances.min(axis=1, keepdims=True) - distances) / temperature)

    return KNeighborsClassifier(
        num_neighbours, metric="cosine", algorithm="brute", weights="uniform" if temperature is None else weights
    )


PROBES: dict[str, Callable[..., "ClassifierMixin"]] = {
    "svm": linear_svm,
    "logistic": logistic_regression,
    "knn": nearest_neighbours,
}


def probe(train: Features, test: Features, classifier: str = "svm", **settings: Any) -> Result:
    """The result on `test` of a classifier fitted on `train`; `settings` are those of the function in PROBES."""
    if classifier not in PROBES:
        raise ValueError(f"the classifier {classifier!r} is not known; known are {', '.join(PROBES)}")
    for name, features in (("training", train), ("test", test)):
        unlabelled = [features.videos[index] for index in np.flatnonzero(features.labels == NO_LABEL).tolist()]
        if unlabelled:
            raise ValueError(f"{len(unlabelled)} of the {name} videos have no label: {shorten(unlabelled)}")
    unknown = sorted(set(test.label_names) - set(train.label_names))
    if unknown:
        raise ValueError(
            f"the test data have labels that the training data lack: {shorten(unknown)}; "
            f"the training data have {shorten(train.label_names)}"
        )
    new_numbers = np.array([list(train.label_names).index(name) for name in test.label_names])
    fitted = PROBES[classifier](**settings).fit(train.values[train.is_readable], train.labels[train.is_readable])
    logits = np.full((len(test.videos), 1, len(train.label_names)), np.nan, dtype=np.float32)
    logits[test.is_readable, 0] = decide(fitted, test.values[test.is_readable], len(train.label_names))
    about = {**test.provenance, "classifier": {"name": classifier, **settings}}
    labels = new_numbers[test.labels]
    return Result(Scores(test.videos, labels, train.label_names, logits, test.protocol, test.unreadable, about))


def decide(classifier: "ClassifierMixin", features: NDArray[Any], num_labels: int) -> NDArray[np.float64]:
    """Logits (N, L) of a fitted classifier: log-probabilities, or an SVM's margins; least for labels it never saw."""
    if hasattr(classifier, "decision_function"):
        known = classifier.decision_function(features)
        known = np.stack([-known, known], axis=1) / 2 if known.ndim == 1 else known
    else:
        smallest = np.finfo(np.float32).tiny  # a neighbour's label that nobody votes for
        known = np.log(np.maximum(classifier.predict_proba(features), smallest))
    logits = np.full((len(features), num_labels), known.min(initial=0) - 1)
    logits[:, classifier.classes_] = known
    return logits
