"""What is trained: a trunk and a classifier for each data set, as one module whose forward gives logits.

Shapes: B clips, D features, L labels of all data sets together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from muybridge.models.video_base import VideoForClassification


@dataclass(frozen=True)
class Task:
    """One data set's labels, and their place [start, end) among all logits."""

    name: str
    labels: tuple[str, ...]
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.labels)


def tasks_of(names: Sequence[str], labels: Sequence[Sequence[str]]) -> list[Task]:
    """The tasks of data sets that are trained on together, their logits one after the other."""
    tasks: list[Task] = []
    for name, own in zip(names, labels, strict=True):
        tasks.append(Task(name, tuple(own), tasks[-1].end if tasks else 0))
    return tasks


class Learner(nn.Module):
    """The model as the optimiser sees it, its one linear layer holding the classifiers of all tasks."""

    def __init__(self, model: VideoForClassification) -> None:
        super().__init__()
        self.model = model
        # Where Accelerate asks what FSDP is to gather at once: a stage, under its policy "transformer-based wrap".
        self._no_split_modules = sorted({type(stage).__name__ for stage in model.get_stages()})

    def forward(self, features: Tensor | None = None, **inputs: Tensor) -> Tensor:
        """Logits (B, L) of clips, or of the features that a frozen trunk gave for them earlier."""
        if features is None:
            return self.model(**inputs).logits
        return self.model.get_classifier()(self.model.dropout(features)).float()


def task_loss(logits: Tensor, targets: Tensor, task_ids: Tensor, tasks: Sequence[Task]) -> Tensor:
    """Cross-entropy within each clip's own task, averaged over the clips: the others' logits have no part in it.

    `targets` (B, L) are distributions over the labels of the clip's task, and zero elsewhere.
    """
    losses = torch.stack(
        [
            -(targets[:, task.start : task.end] * logits[:, task.start : task.end].log_softmax(dim=-1)).sum(dim=-1)
            for task in tasks
        ],
        dim=1,
    )
    return losses.gather(1, task_ids[:, None]).mean()
