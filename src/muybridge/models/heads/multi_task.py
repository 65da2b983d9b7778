"""Several sets of labels at once, each with a head of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig

from muybridge.models.heads.head import Head, HeadNumbers


@dataclass(frozen=True)
class MultiTaskNumbers(HeadNumbers):
    """`tasks` lists the labels of each task by its name, and `head` is the head that each of them gets.

    Without a name that is the architecture's own.
    """

    tasks: Mapping[str, Sequence[str]]
    head: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.tasks or not all(self.tasks.values()):
            raise ValueError(f"tasks of the head is {dict(self.tasks)}; it must list the labels of one task or more")
        if self.head.get("name") == "multi_task":
            raise ValueError("the head of each task is 'multi_task' itself; name another, such as 'linear'")


def name_labels(tasks: Mapping[str, Sequence[str]]) -> list[str]:
    """The labels of all tasks, one after the other, with the name of the task before each."""
    return [f"{task}: {label}" for task, labels in tasks.items() for label in labels]


def get_tasks(config: PreTrainedConfig) -> dict[str, list[str]]:
    """The labels of each task by its name; none where the head is of a single one, or the network transformers' own."""
    head = getattr(config, "head", None)
    return dict(head.get("tasks", {})) if isinstance(head, Mapping) else {}


class MultiTaskHead(Head):
    """The logits of several tasks, one block after the other: (N, L₁ + L₂ + …).

    Views are averaged block by block: the probabilities of one task are not those of another.
    """

    numbers_class = MultiTaskNumbers

    def __init__(
        self, config: PreTrainedConfig, num_labels: int, numbers: MultiTaskNumbers, heads: Sequence[Head]
    ) -> None:
        super().__init__(config)
        self.tasks = {task: list(labels) for task, labels in numbers.tasks.items()}
        self.sizes = [len(labels) for labels in self.tasks.values()]
        if sum(self.sizes) != num_labels:
            raise ValueError(
                f"the tasks of the head have {sum(self.sizes)} labels together, and the config has {num_labels}; "
                "reset_head with the labels of every task sets both"
            )
        self.heads = nn.ModuleList(heads)
        self.inputs = heads[0].inputs

    def forward(self, outputs: Mapping[str, Tensor]) -> Tensor:
        return torch.cat([head(outputs) for head in self.heads], dim=-1)

    def score(self, features: Tensor) -> Tensor:
        return torch.cat([head.score(features) for head in self.get_heads()], dim=-1)

    def step(self, features: Tensor, state: Sequence[Any] | None = None) -> tuple[Tensor, list[Any]]:
        states = state or [None] * len(self.heads)
        steps = [head.step(features, own) for head, own in zip(self.get_heads(), states, strict=True)]
        return torch.cat([logits for logits, _ in steps], dim=-1), [carried for _, carried in steps]

    def average_views(self, logits: Tensor) -> Tensor:
        blocks = zip(self.get_heads(), logits.split(self.sizes, dim=-1), strict=True)
        return torch.cat([head.average_views(block) for head, block in blocks], dim=-1)

    def reset(self, num_labels: int) -> None:
        if num_labels != sum(self.sizes):
            raise ValueError(f"num_labels is {num_labels}; the tasks of the head have {sum(self.sizes)} together")
        for head, size in zip(self.get_heads(), self.sizes, strict=True):
            head.reset(size)

    def get_heads(self) -> list[Head]:
        return [head for head in self.heads if isinstance(head, Head)]

    def get_task(self, name: str) -> Head:
        """The head of one task."""
        if name not in self.tasks:
            raise ValueError(f"the head has no task {name!r}; it has {', '.join(map(repr, self.tasks))}")
        return self.get_heads()[list(self.tasks).index(name)]
