"""What a model said of every view of every video: kept in a file, so that averages and fusions can be made later.

A file of scores is safetensors: `logits` (N, V, L), `labels`, `is_readable` (N,), and under `muybridge` in its
metadata, as JSON, everything that has names. `labels` are numbers (N,) where a video has one label, and truth values
(N, L) where it has a set of them. Shapes: N videos, V views, L labels.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from muybridge.evaluation.metrics import one_hot
from muybridge.files import replace_file
from muybridge.text import shorten
from muybridge.types import Protocol

FORMAT = "muybridge scores 1"


@dataclass(frozen=True)
class Scores:
    """The logits (N, V, L) of every view, NaN for a video that could not be read, and what they are of.

    `videos` name the videos, each once; `labels` (N,) are indices into `label_names`, or truth values (N, L) where a
    video has a set of labels; `unreadable` says what was wrong with which video. `provenance` tells the model, the data
    and the versions of what made the scores.

    Of one label, softmax makes probabilities of logits; of a set, sigmoid does, of each label's by itself.
    """

    videos: Sequence[str]
    labels: NDArray[Any]
    label_names: Sequence[str]
    logits: NDArray[np.float32]
    protocol: Protocol
    unreadable: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.videos), len(self.label_names))
        if self.logits.ndim != 3 or (self.logits.shape[0], self.logits.shape[2]) != shape or not all(shape):
            raise ValueError(f"the logits are {self.logits.shape}; for {shape[0]} videos and {shape[1]} labels they "
                             f"must be ({shape[0]}, views, {shape[1]}), and neither may be 0")  # fmt: skip
        if self.is_multi_label:
            check_label_sets(self.labels, shape, self.protocol)
        else:
            check_labels(self.labels, *shape)
        refuse_repeats(self.videos, "video")
        refuse_repeats(self.label_names, "label")
        silent = {video for video, readable in zip(self.videos, self.is_readable, strict=True) if not readable}
        if silent != set(self.unreadable):
            wrong = sorted(silent ^ set(self.unreadable))
            raise ValueError(f"a video has no finite logits exactly where it is unreadable; not so: {shorten(wrong)}")

    @property
    def is_multi_label(self) -> bool:
        """Whether a video has a set of labels, and not one."""
        return self.labels.ndim == 2

    @property
    def targets(self) -> NDArray[np.bool_]:
        """Which labels each video has, (N, L)."""
        return self.labels if self.is_multi_label else one_hot(self.labels, self.num_labels)

    @property
    def is_readable(self) -> NDArray[np.bool_]:
        return np.logical_not(np.isnan(self.logits.reshape(len(self.videos), -1)).any(axis=1))

    @property
    def num_views(self) -> int:
        return self.logits.shape[1]

    @property
    def num_labels(self) -> int:
        return len(self.label_names)

    @property
    def protocols(self) -> list[Protocol]:
        """How the scores were made: in one way, or in one for each of the models that were fused."""
        models = self.provenance.get("models")
        return [Protocol(**model["protocol"]) for model in models] if models else [self.protocol]

    @property
    def has_single_views(self) -> bool:
        """Whether these are scores of views; those of fusions and of averaged features are not."""
        return self.protocols == [self.protocol] and self.num_views == self.protocol.num_views

    def get_video_logits(self) -> NDArray[np.float64]:
        """The logits (N, L) of every video, its views averaged as the protocol says."""
        import torch  # here, so that scores are read without it

        from muybridge.models.heads import average_views

        return average_views(torch.from_numpy(self.logits).double(), self.protocol.aggregation).numpy()

    def get_video_log_probabilities(self) -> NDArray[np.float64]:
        """The log-probabilities (N, L) of every video."""
        logits = self.get_video_logits()
        return log_sigmoid(logits) if self.is_multi_label else log_softmax(logits)

    def select(self, positions: Sequence[int] | NDArray[np.integer[Any]]) -> "Scores":
        """The scores of the videos at these positions, in this order."""
        videos = [self.videos[position] for position in positions]
        unreadable = {video: self.unreadable[video] for video in videos if video in self.unreadable}
        return replace(
            self, videos=videos, labels=self.labels[positions], logits=self.logits[positions], unreadable=unreadable
        )

    def reorder_labels(self, order: Sequence[int]) -> "Scores":
        """The same scores with the labels in another order: first the one whose number is `order[0]`."""
        names = [self.label_names[number] for number in order]
        labels = self.labels[:, order] if self.is_multi_label else np.argsort(order)[self.labels]
        return replace(self, label_names=names, labels=labels, logits=self.logits[..., order])

    def save(self, path: str | Path) -> Path:
        """Writes the file whole or not at all."""
        names = {
            "format": FORMAT,
            "videos": list(self.videos),
            "label_names": list(self.label_names),
            "protocol": self.protocol.to_dict(),
            "unreadable": dict(self.unreadable),
            "provenance": dict(self.provenance),
        }
        tensors: dict[str, NDArray[Any]] = {
            "logits": np.ascontiguousarray(self.logits, dtype=np.float32),
            "labels": np.ascontiguousarray(self.labels, dtype=np.bool_ if self.is_multi_label else np.int64),
            "is_readable": self.is_readable.astype(np.uint8),
        }
        with replace_file(path) as partial:
            save_file(tensors, partial, {"muybridge": json.dumps(names, ensure_ascii=False)})
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> "Scores":
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file of scores")
        try:
            with safe_open(path, framework="numpy") as file:
                names = json.loads((file.metadata() or {})["muybridge"])
                if names["format"] != FORMAT:
                    raise ValueError(f"{path} holds {names['format']!r}; this version reads {FORMAT!r}")
                logits, labels = file.get_tensor("logits"), file.get_tensor("labels")
        except (SafetensorError, KeyError) as error:
            raise ValueError(f"{path} is not a file of scores, or is damaged: {error}") from error
        protocol = Protocol(**names["protocol"])
        return cls(
            names["videos"], labels, names["label_names"], logits, protocol, names["unreadable"], names["provenance"]
        )


@np.errstate(invalid="ignore")  # NaN, of a video that could not be read, stays NaN
def log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


@np.errstate(invalid="ignore")
def log_sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return -np.logaddexp(0, -logits)


def check_labels(labels: NDArray[Any], num_videos: int, num_labels: int) -> None:
    """Raises where there is not one label a video, or one that has no name."""
    if labels.shape != (num_videos,):
        raise ValueError(f"there are {len(labels)} labels for {num_videos} videos; each needs one")
    if labels.min() < 0 or labels.max() >= num_labels:
        raise ValueError(f"labels reach from {labels.min()} to {labels.max()}; there are {num_labels} names")


def check_label_sets(labels: NDArray[Any], shape: tuple[int, int], protocol: Protocol) -> None:
    """Raises where truth values do not say which of the labels (L,) each video (N,) has."""
    if labels.shape != shape or labels.dtype != np.bool_:
        raise ValueError(
            f"the sets of labels are {labels.shape} of {labels.dtype}; for {shape[0]} videos and {shape[1]} labels "
            f"they must be {shape} of bool"
        )
    if protocol.aggregation != "logits":
        raise ValueError(
            f"the protocol averages the {protocol.aggregation} of views, which sets of labels do not have; use "
            "aggregation='logits'"
        )


def refuse_repeats(names: Sequence[str], what: str) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(f"each {what} must be there once; more than once there is {shorten(repeated)}")
