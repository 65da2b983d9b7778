"""Classifiers on features: how much a model knows without being trained further.

scikit-learn is imported where it is used, for training evaluates too and need not wait for it.

Shapes: B videos in a batch, N videos, D features, L labels.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel
from transformers.video_processing_utils import VideoProcessorMixin

from muybridge.data import NO_LABEL, VideoRecord
from muybridge.evaluation.collecting import run_views
from muybridge.evaluation.protocols import get_protocol
from muybridge.evaluation.provenance import describe_model, versions
from muybridge.evaluation.results import Result
from muybridge.evaluation.scores import Scores
from muybridge.evaluation.scoring import load
from muybridge.evaluation.truth import Truth, get_names
from muybridge.extras import extra
from muybridge.inference import Loading
from muybridge.text import shorten
from muybridge.types import Protocol

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin


@dataclass(frozen=True)
class Features:
    """Features (N, D) of videos, NaN for those that could not be read, and everything that is known of the videos.

    `labels` (N,) are indices into `label_names`, or where videos have sets of labels, 0 and 1 for each (N, L); NO_LABEL
    stands for what is not known.
    """

    values: NDArray[np.float32]
    videos: Sequence[str]
    labels: NDArray[np.int64]
    label_names: Sequence[str]
    protocol: Protocol
    unreadable: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def is_multi_label(self) -> bool:
        """Whether a video has a set of labels, and not one."""
        return self.labels.ndim == 2

    @property
    def is_readable(self) -> NDArray[np.bool_]:
        return np.logical_not(np.isnan(self.values).any(axis=1))

    def refuse_unlabelled(self, what: str) -> None:
        """Raises where videos have no label; `what` they are for is what the message calls them."""
        is_unlabelled = (self.labels == NO_LABEL).reshape(len(self.videos), -1).any(axis=1)
        names = [self.videos[number] for number in np.flatnonzero(is_unlabelled).tolist()]
        if names:
            raise ValueError(
                f"{len(names)} of {len(self.videos)} {what} videos have no label: {shorten(names)}; leave them out, or "
                "label them"
            )


def extract_features(
    model: PreTrainedModel | str | Path,
    data: Iterable[VideoRecord],
    protocol: Protocol | str | None = None,
    *,
    stage: int | str | None = None,
    processor: VideoProcessorMixin | None = None,
    **loading: Any,
) -> Features:
    """The features of every video, averaged over its views; videos need no labels.

    `data` are records, a stream, or any iterator of records. `stage` is an index into `model.get_stages()`, or the name
    of any layer ("fc6"), whose output is averaged over space and time; None takes the features that the model's
    classifier would get. `loading` is as in `evaluate`.
    """
    model, processor = load(model, processor)
    protocol = get_protocol(protocol, model.config)
    label_names, is_multi_label = find_label_names(data)
    truth = Truth(label_names, is_multi_label=is_multi_label, needs_labels=False)
    network = make_feature_network(model, stage)
    outputs = run_views(network, model, processor, data, protocol, truth, Loading(**loading), title="features")
    about = {**describe_model(model), **versions(), "stage": stage}
    means = outputs.values.mean(axis=1)
    return Features(means, truth.videos, truth.labels, label_names, protocol, outputs.unreadable, about)


def find_label_names(data: Any) -> tuple[list[str], bool]:
    """The names of the labels of records or of a stream, and whether a video has a set of them."""
    names = get_names(data)
    is_multi_label = "labels" in names and "label" not in names
    return list(names.get("labels" if is_multi_label else "label", ())), is_multi_label


def make_feature_network(model: Any, stage: int | str | None) -> Callable[..., dict[str, Tensor]]:
    """A function from the inputs of videos to what a stage or layer makes of them, pooled: `features` (B, D)."""
    if stage is None:
        return lambda **inputs: {"features": model.get_features(**inputs)}
    names: Sequence[str] = model.get_stage_names()
    if isinstance(stage, int) and not -len(names) <= stage < len(names):
        raise ValueError(f"stage is {stage}; the model has {len(names)} stages, numbered from 0")
    layer = names[stage] if isinstance(stage, int) else stage
    return lambda **inputs: {"features": model.pool_layer(layer, **inputs)}


def linear_svm(cost: float = 1.0) -> "ClassifierMixin":
    """A linear SVM on L2-normalised features, one label against the rest (Tran et al. 2015)."""
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
    """The result on `test` of a classifier fitted on `train`; `settings` are those of the function in PROBES.

    Sets of labels have one such classifier a label, which tells those videos that have it from the rest.
    """
    if classifier not in PROBES:
        raise ValueError(f"the classifier {classifier!r} is not known; known are {', '.join(PROBES)}")
    check_features(train, test)
    logits = np.full((len(test.videos), 1, len(train.label_names)), np.nan, dtype=np.float32)
    logits[test.is_readable, 0] = fit_and_decide(
        PROBES[classifier](**settings),
        train.values[train.is_readable],
        train.labels[train.is_readable],
        test.values[test.is_readable],
        len(train.label_names),
    )
    about = {**test.provenance, "classifier": {"name": classifier, **settings}}
    labels = translate_labels(test, train.label_names)
    protocol = replace(test.protocol, aggregation="logits") if test.is_multi_label else test.protocol
    return Result(Scores(test.videos, labels, train.label_names, logits, protocol, test.unreadable, about))


def check_features(train: Features, test: Features) -> None:
    """Raises where a classifier cannot be fitted on `train`, or not be judged on `test`."""
    train.refuse_unlabelled("training")
    test.refuse_unlabelled("test")
    if train.is_multi_label != test.is_multi_label:
        raise ValueError("of training and test videos, one has sets of labels and the other one label a video")
    unknown = sorted(set(test.label_names) - set(train.label_names))
    if unknown:
        raise ValueError(
            f"the test data have labels that the training data lack: {shorten(unknown)}; "
            f"the training data have {shorten(train.label_names)}"
        )
    found = np.unique(train.labels[train.is_readable])
    if not train.is_multi_label and len(found) < 2:
        names = [train.label_names[number] for number in found]
        raise ValueError(
            f"the readable training videos have {len(found)} label{'s' * (len(found) != 1)}{': ' * len(names)}"
            f"{shorten(names)}; a classifier needs two or more"
        )


def translate_labels(features: Features, label_names: Sequence[str]) -> NDArray[Any]:
    """The labels of features as those of scores, numbered as in `label_names`."""
    numbers = np.array([list(label_names).index(name) for name in features.label_names])
    if not features.is_multi_label:
        return numbers[features.labels]
    targets = np.zeros((len(features.videos), len(label_names)), dtype=bool)
    targets[:, numbers] = features.labels == 1
    return targets


def fit_and_decide(
    classifier: "ClassifierMixin",
    known: NDArray[Any],
    labels: NDArray[Any],
    features: NDArray[Any],
    num_labels: int,
) -> NDArray[np.float64]:
    """Logits (N, L) for `features` of the classifier, fitted on `known` ones with `labels`.

    For sets of labels (N, L) there is one such classifier a label.
    """
    if labels.ndim == 1:
        return decide(classifier.fit(known, labels), features, num_labels)
    columns = [fit_and_decide_one(classifier, known, column.astype(bool), features) for column in labels.T]
    return np.stack(columns, axis=1)


def fit_and_decide_one(
    classifier: "ClassifierMixin", known: NDArray[Any], is_positive: NDArray[np.bool_], features: NDArray[Any]
) -> NDArray[np.float64]:
    """Margins or log-odds (N,) of one label. One that all known videos have, or none, is as likely as they are many."""
    with extra("probes"):
        from sklearn.base import clone

    if is_positive.all() or not is_positive.any():
        log_odds = np.log(len(known) + 1)
        return np.full(len(features), log_odds if is_positive.all() else -log_odds)
    logits = decide(clone(classifier).fit(known, is_positive.astype(int)), features, 2)
    return logits[:, 1] - logits[:, 0]


def decide(classifier: "ClassifierMixin", features: NDArray[Any], num_labels: int) -> NDArray[np.float64]:
    """Logits (N, L) of a fitted classifier: log-probabilities, or an SVM's margins; least for labels it never saw."""
    if hasattr(classifier, "decision_function"):
        known = classifier.decision_function(features)
        known = np.stack([-known, known], axis=1) / 2 if known.ndim == 1 else known  # of two labels
    else:
        smallest = np.finfo(np.float32).tiny  # a neighbour's label that nobody votes for
        known = np.log(np.maximum(classifier.predict_proba(features), smallest))
    logits = np.full((len(features), num_labels), known.min(initial=0) - 1)
    logits[:, classifier.classes_] = known
    return logits
