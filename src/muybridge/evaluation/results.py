"""What scores amount to: the numbers, how they were measured, and a folder that shows both."""

import csv
import json
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muybridge.evaluation import metrics as measures
from muybridge.evaluation.scores import Scores
from muybridge.extras import find_missing
from muybridge.files import replace_file, replace_text
from muybridge.text import shorten
from muybridge.types import HEADLINES, SHARES

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """The numbers that scores amount to.

    `groups` name groups of labels, each of which gets its mean average precision. A video that could not be read
    counts as wrong, or with `unreadable_are_wrong=False` not at all; it is listed in either case. `seconds` is how long
    scoring took.
    """

    scores: Scores
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unreadable_are_wrong: bool = True
    seconds: float | None = None

    @cached_property
    def counted(self) -> Scores:
        """The scores that the numbers are of."""
        if self.unreadable_are_wrong:
            return self.scores
        return self.scores.select(np.flatnonzero(self.scores.is_readable))

    @cached_property
    def log_probabilities(self) -> NDArray[np.float64]:
        return self.counted.get_video_log_probabilities()

    @cached_property
    def guesses(self) -> measures.Labels:
        """The best label of each video, and NO_ANSWER where it could not be read."""
        self.refuse_label_sets("a best label")
        return measures.rank_labels(self.log_probabilities, 1)[:, 0]

    @cached_property
    def confusion(self) -> measures.Labels:
        return measures.confusion_matrix(self.guesses, self.counted.labels, self.counted.num_labels)

    @cached_property
    def reliability(self) -> measures.ReliabilityBins:
        """The best label of each video by its probability; of sets of labels, every label by its own."""
        make_bins = measures.binary_reliability_bins if self.counted.is_multi_label else measures.reliability_bins
        return make_bins(np.exp(self.log_probabilities), self.counted.labels)

    @cached_property
    def class_accuracies(self) -> NDArray[np.float64]:
        return measures.class_accuracies(self.guesses, self.counted.labels, self.counted.num_labels)

    @cached_property
    def average_precisions(self) -> NDArray[np.float64]:
        return measures.average_precisions(self.log_probabilities, self.counted.targets)

    def refuse_label_sets(self, what: str) -> None:
        if self.scores.is_multi_label:
            raise ValueError(f"these videos have sets of labels, and no video has {what}; see average_precisions")

    @cached_property
    def metrics(self) -> dict[str, float | None]:
        """Every number that has a meaning, under the names of HEADLINES.

        Hit@5 is None where there are five labels or fewer, and clip Hit@1 where views have no scores of their own. Sets
        of labels have no hits and no class accuracy.
        """
        hits = {} if self.counted.is_multi_label else self.measure_hits()
        return {
            **hits,
            "mean_average_precision": measures.mean_average_precision(self.average_precisions),
            "negative_log_likelihood": self.measure_likelihood(),
            "expected_calibration_error": measures.expected_calibration_error(self.reliability),
        }

    def measure_hits(self) -> dict[str, float | None]:
        scores, labels = self.counted, self.counted.labels
        views = scores.logits.reshape(-1, scores.num_labels)
        of_views = scores.has_single_views
        return {
            "clip_hit_at_1": measures.hit_at_k(views, labels.repeat(scores.num_views), 1) if of_views else None,
            "video_hit_at_1": measures.hit_at_k(self.log_probabilities, labels, 1),
            "video_hit_at_5": measures.hit_at_k(self.log_probabilities, labels, 5) if scores.num_labels > 5 else None,
            "mean_class_accuracy": measures.mean_class_accuracy(self.guesses, labels, scores.num_labels),
        }

    def measure_likelihood(self) -> float:
        scores = self.counted
        if scores.is_multi_label:
            return measures.binary_negative_log_likelihood(scores.get_video_logits(), scores.targets)
        return measures.negative_log_likelihood(self.log_probabilities, scores.labels)

    @cached_property
    def group_average_precisions(self) -> dict[str, float]:
        indices = {name: index for index, name in enumerate(self.scores.label_names)}
        unknown = sorted({label for members in self.groups.values() for label in members} - set(indices))
        if unknown:
            raise ValueError(f"the groups name labels that the model does not have: {shorten(unknown)}")
        members = {group: [indices[label] for label in labels] for group, labels in self.groups.items()}
        return measures.group_average_precisions(self.average_precisions, members)

    def make_class_rows(self) -> list[dict[str, Any]]:
        """One row a label: its videos and its average precision.

        Where a video has one label, also how many are recognised, and what else they are most often taken for.
        """
        counts = self.counted.targets.sum(axis=0)
        return [
            {
                "label": name,
                "num_videos": int(counts[index]),
                "average_precision": number(self.average_precisions[index]),
                **({} if self.counted.is_multi_label else self.describe_recognition(index)),
            }
            for index, name in enumerate(self.scores.label_names)
        ]

    def describe_recognition(self, label: int) -> dict[str, Any]:
        """How many of a label's videos are recognised, and what else they are most often taken for."""
        mistakes = self.confusion[label].copy()
        mistakes[label] = 0
        return {
            "accuracy": number(self.class_accuracies[label]),
            "taken_for": self.scores.label_names[mistakes.argmax()] if mistakes.any() else "",
            "times": int(mistakes.max()),
        }

    def make_reliability_rows(self) -> list[dict[str, float]]:
        """One row a bin that has videos."""
        edges, counts, confidences, accuracies = (part.tolist() for part in self.reliability)
        rows = zip(pairwise(edges), counts, confidences, accuracies, strict=True)
        return [
            {"above": low, "up_to": high, "num_videos": count, "confidence": confidence, "accuracy": accuracy}
            for (low, high), count, confidence, accuracy in rows
            if count
        ]

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON knows it: no NaN, no arrays."""
        scores = self.scores
        protocols = [protocol.to_dict() for protocol in scores.protocols]
        return {
            "metrics": {name: number(value) for name, value in self.metrics.items()},
            "group_average_precision": {name: number(value) for name, value in self.group_average_precisions.items()},
            "protocol": protocols[0] if len(protocols) == 1 else protocols,
            "num_videos": len(self.counted.videos),
            "num_views": self.counted.num_views,
            "num_labels": scores.num_labels,
            "num_unreadable": len(scores.unreadable),
            "unreadable_are_wrong": self.unreadable_are_wrong,
            "unreadable": dict(scores.unreadable),
            "seconds": self.seconds,
            "reliability": self.make_reliability_rows(),
            "classes": self.make_class_rows(),
            **scores.provenance,
        }

    def save(self, folder: str | Path) -> Path:
        """Writes scores.safetensors, classes.csv, confusion.csv, the pictures, and last of all results.json.

        Sets of labels have no confusions; a picture shows the average precision of each label in their place.
        """
        folder = Path(folder)
        rows, names = self.make_class_rows(), self.scores.label_names
        self.scores.save(folder / "scores.safetensors")
        write_table(folder / "classes.csv", [rows[0].keys(), *(row.values() for row in rows)])
        if not self.scores.is_multi_label:
            confusion = [[name, *row] for name, row in zip(names, self.confusion.tolist(), strict=True)]
            write_table(folder / "confusion.csv", [["label", *names], *confusion])
        if missing := find_missing("matplotlib", "plots"):
            logger.warning("the results in %s have no pictures: %s", folder, missing)
        else:
            self.draw(folder)
        replace_text(folder / "results.json", json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n")
        return folder

    def draw(self, folder: Path) -> None:
        """Writes reliability.png, and confusion.png or, of sets of labels, precisions.png."""
        from muybridge.evaluation.pictures import draw_confusion, draw_precisions, draw_reliability

        names = list(self.scores.label_names)
        if self.scores.is_multi_label:
            with replace_file(folder / "precisions.png") as partial:
                draw_precisions(self.average_precisions, self.counted.targets.sum(axis=0), names, partial)
        else:
            with replace_file(folder / "confusion.png") as partial:
                draw_confusion(self.confusion, names, partial)
        with replace_file(folder / "reliability.png") as partial:
            draw_reliability(self.reliability, partial, of_labels=self.scores.is_multi_label)

    def __str__(self) -> str:
        """The numbers for people, one a line."""
        rows = [(HEADLINES[name], show(name, value)) for name, value in self.metrics.items() if value is not None]
        rows += [(f"mAP of {name}", f"{value:.1%}") for name, value in self.group_average_precisions.items()]
        rows += [
            ("videos", self.describe_coverage()),
            ("protocol", "; ".join(dict.fromkeys(map(str, self.scores.protocols)))),
        ]
        return "\n".join(f"{name:<24}{value}" for name, value in rows)

    def describe_coverage(self) -> str:
        """How many videos the numbers are of, and what became of the unreadable."""
        num_unreadable = len(self.scores.unreadable)
        fate = "counted as wrong" if self.unreadable_are_wrong else "left out"
        return f"{len(self.counted.videos)}" + (f" ({num_unreadable} unreadable, {fate})" if num_unreadable else "")


def average_splits(results: Sequence[Result]) -> dict[str, tuple[float, float]]:
    """The mean and the deviation of every number over splits of the same data, or over seeds."""
    values = {name: [result.metrics.get(name) for result in results] for name in HEADLINES}
    return {
        name: measures.mean_and_deviation([value for value in each if value is not None])
        for name, each in values.items()
        if None not in each
    }


def describe_splits(results: Sequence[Result]) -> str:
    """`average_splits` for people, one number a line."""
    rows = average_splits(results).items()
    return "\n".join(f"{HEADLINES[name]:<24}{show(name, mean)} ± {show(name, spread)}" for name, (mean, spread) in rows)


def show(name: str, value: float) -> str:
    return f"{value:.1%}" if name in SHARES else f"{value:.3f}"


def number(value: float | None) -> float | None:
    """A number as JSON knows it, None for NaN."""
    return None if value is None or math.isnan(value) else float(value)


def write_table(path: Path, rows: Iterable[Iterable[Any]]) -> None:
    with replace_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
