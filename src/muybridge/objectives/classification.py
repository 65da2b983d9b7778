"""Classification: which label a clip has, or which labels; with several data sets, a head for each.

Shapes: B clips, L labels of all tasks together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import torch
import torch.nn.functional as F
from torch import Generator, Tensor
from transformers import PreTrainedModel

from muybridge.data import SplitData, VideoRecords, check_labels, require_targets
from muybridge.objectives.base import Batch, Export, Objective, Output, Targets
from muybridge.objectives.mixing import Mixing
from muybridge.objectives.networks import make_classifier
from muybridge.processing import View, make_training_changes
from muybridge.text import make_bullets, shorten

if TYPE_CHECKING:
    from muybridge.training.settings import TrainingSettings


@dataclass(frozen=True)
class Task:
    """The labels of one data set, and their place [start, end) among all logits.

    Of labels that do not exclude each other a clip may have several, or none.
    """

    name: str
    labels: tuple[str, ...]
    start: int
    is_exclusive: bool = True

    @property
    def end(self) -> int:
        return self.start + len(self.labels)


def make_tasks(data: Sequence[SplitData]) -> list[Task]:
    """The tasks of data sets, their logits one after the other."""
    tasks: list[Task] = []
    for part in data:
        kind = find_kind(part.training)
        start = tasks[-1].end if tasks else 0
        tasks.append(Task(part.name, tuple(part.training.names.get(kind, ())), start, kind == "label"))
    return tasks


def find_kind(records: VideoRecords) -> str:
    """What is learnt of records: their "label", or their set of "labels" where they have only such."""
    return "labels" if "labels" in records.names and "label" not in records.names else "label"


def compute_loss(logits: Tensor, targets: Tensor, task_ids: Tensor, tasks: Sequence[Task]) -> Tensor:
    """The mean over clips of each clip's loss in its own task; the logits of the other tasks have no part in it.

    `targets` (B, L) are zero outside the clip's task. Within it they are a distribution over labels that exclude each
    other, whose loss is the cross-entropy, or the probability of each label, whose loss is the mean of the labels'
    binary cross-entropies.
    """
    losses = torch.stack([compute_task_losses(logits, targets, task) for task in tasks], dim=1)
    return losses.gather(1, task_ids[:, None]).mean()


def compute_task_losses(logits: Tensor, targets: Tensor, task: Task) -> Tensor:
    """The loss (B,) of each clip as if it was of this task."""
    own, wanted = logits[:, task.start : task.end], targets[:, task.start : task.end]
    if task.is_exclusive:
        return -(wanted * own.log_softmax(dim=-1)).sum(dim=-1)
    return F.binary_cross_entropy_with_logits(own, wanted, reduction="none").mean(dim=-1)


def smooth_targets(targets: Tensor, task_ids: Tensor, tasks: Sequence[Task], smoothing: float) -> Tensor:
    """Targets (B, L) of which each clip's own labels share `smoothing` evenly, the absent ones too."""
    smoothed = targets.clone()
    for number, task in enumerate(tasks):
        share = smoothing / len(task.labels) if task.is_exclusive else smoothing / 2
        own = smoothed[task_ids == number, task.start : task.end]
        smoothed[task_ids == number, task.start : task.end] = own * (1 - smoothing) + share
    return smoothed


def compute_top_1(logits: Tensor, targets: Tensor, task_ids: Tensor, tasks: Sequence[Task]) -> Tensor:
    """The share of clips whose best label is the one wanted most, each within its own task."""
    hits = [
        logits[:, task.start : task.end].argmax(dim=-1) == targets[:, task.start : task.end].argmax(dim=-1)
        for task in tasks
    ]
    return torch.stack(hits, dim=1).gather(1, task_ids[:, None]).float().mean()


def encode_labels(records: VideoRecords, index: int, data_set: int, *, tasks: Sequence[Task]) -> Targets:
    """The labels of a record as numbers (L,): 1 for those it has."""
    task = tasks[data_set]
    target = torch.zeros(tasks[-1].end)
    record = records[index]
    for label in (record.label,) if task.is_exclusive else record.labels:
        target[task.start + task.labels.index(label)] = 1.0
    return {"labels": target}


class Classification(Objective):
    """A network and a head for each task."""

    name = "classification"
    own_settings = ("dropout", "label_smoothing", "mixup", "cutmix")

    def __init__(
        self,
        network: PreTrainedModel,
        processor: Any,
        data: Sequence[SplitData],
        *,
        view: View | None = None,
        smoothing: float = 0.0,
        mixing: Mixing | None = None,
        beginning: str = "",
    ) -> None:
        super().__init__()
        self.network = network
        self.processor = processor
        self.data = list(data)
        self.tasks = make_tasks(data)
        self.view = view or View()
        self.smoothing = smoothing
        self.mixing = mixing or Mixing()
        self.beginning = beginning

    @classmethod
    def from_settings(cls, settings: "TrainingSettings", data: Sequence[SplitData]) -> Self:
        for part in data:
            check_task_labels(part)
        tasks = make_tasks(data)
        network, processor = make_classifier(
            settings,
            {task.name: task.labels for task in tasks},
            problem_type=None if all(task.is_exclusive for task in tasks) else "multi_label_classification",
        )
        return cls(
            network,
            processor,
            data,
            view=make_view(settings),
            smoothing=settings.label_smoothing,
            mixing=Mixing(settings.mixup, settings.cutmix),
            beginning=describe_beginning(settings),
        )

    @property
    def views(self) -> Mapping[str, View]:
        return {"clip": self.view}

    @property
    def encode_targets(self) -> Callable[..., Targets]:
        return partial(encode_labels, tasks=self.tasks)

    def change_batches(self, batches: dict[str, Batch], generator: Generator) -> dict[str, Batch]:
        batch = batches["batch"]
        targets = smooth_targets(batch["targets"]["labels"], batch["data_set"], self.tasks, self.smoothing)
        if "fixed" not in batch:
            inputs, targets = self.mixing.mix(batch["views"]["clip"], targets, generator)
            batch = {**batch, "views": {"clip": inputs}}
        return {"batch": {**batch, "targets": {"labels": targets}}}

    def forward(self, batch: Batch) -> Output:
        if "fixed" in batch:
            logits = self.network.score(batch["fixed"]).float()
        else:
            logits = self.network(**batch["views"]["clip"]).logits.float()
        targets, task_ids = batch["targets"]["labels"], batch["data_set"]
        loss = compute_loss(logits, targets, task_ids, self.tasks)
        if not all(task.is_exclusive for task in self.tasks):
            return Output(loss, {})
        return Output(loss, {"top_1": compute_top_1(logits.detach(), targets, task_ids, self.tasks)})

    @torch.no_grad()
    def compute_fixed_outputs(self, batch: Batch) -> dict[str, Tensor]:
        return self.network.get_head_inputs(**batch["views"]["clip"])

    @property
    def export_names(self) -> list[str]:
        return ["model"] if len(self.tasks) == 1 else [f"model-{task.name}" for task in self.tasks]

    def get_exports(self) -> list[Export]:
        models = [self.network]
        if len(self.tasks) > 1:
            models = [self.network.take_task(task.name) for task in self.tasks]
        parts = zip(self.export_names, models, self.tasks, self.data, strict=True)
        return [self.make_export(*part) for part in parts]

    def make_export(self, name: str, model: PreTrainedModel, task: Task, data: SplitData) -> Export:
        what = "one of" if task.is_exclusive else "any of"
        return Export(
            name=name,
            model=model,
            data=data,
            summary=f"Gives a video {what} {len(task.labels)} labels. Trained on {data.name} {self.beginning}.",
            sections={"Labels": make_bullets(task.labels)},
        )

    def get_warnings(self) -> list[str]:
        return [warning for part in self.data for warning in find_untaught_labels(part)]


def make_view(settings: "TrainingSettings") -> View:
    """A random clip, changed at random; or the processor's own where nothing is to be augmented."""
    one = {"num_clips": 1, "num_crops": 1}
    if not settings.augment:
        return View(fields=one)
    changes = make_training_changes(scale=(settings.smallest_crop, 1.0), flip_probability=0.5 if settings.flip else 0.0)
    return View(is_random=True, changes=changes, fields=one)


def describe_beginning(settings: "TrainingSettings") -> str:
    from muybridge.models import ARCHITECTURES

    if settings.model in ARCHITECTURES:
        return "from random weights"
    return f"from the weights of {settings.model.rstrip('/').rpartition('/')[2]}"


def check_task_labels(data: SplitData) -> None:
    """Raises where a clip has no label to be learnt, or where all clips have the same one."""
    if find_kind(data.training) == "label":
        check_labels(data.training, data.describe_training())
    else:
        require_targets(data.training, "labels", data.describe_training())


def collect_labels(records: VideoRecords | None) -> set[str]:
    """The labels of the kind that is learnt."""
    if records is None:
        return set()
    if find_kind(records) == "labels":
        return {label for record in records for label in record.labels}
    return {record.label for record in records if record.label is not None}


def find_untaught_labels(data: SplitData) -> list[str]:
    """A line for labels that are evaluated and that no clip teaches."""
    taught, asked = (collect_labels(records) for records in (data.training, data.evaluation))
    asked -= taught
    if not asked:
        return []
    return [
        f"{data.name}: split {data.evaluation_split!r} has labels that no clip teaches: {shorten(sorted(asked))}; its "
        "clips of them count as wrong"
    ]
