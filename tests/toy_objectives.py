"""Objectives as small as they can be, for the tests of the loop. Importing this registers them."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from muybridge.data import SplitData
from muybridge.objectives import Batch, Export, Numbers, Objective, Output, read_numbers, register_objective
from muybridge.objectives.networks import make_trunk
from muybridge.processes import gather_tensors
from muybridge.processing import RandomHorizontalFlip, View

if TYPE_CHECKING:
    from muybridge.training import TrainingSettings


@dataclass(frozen=True)
class ToyMomentumNumbers(Numbers):
    """How many keys the queue has, and how slowly the momentum encoder follows."""

    queue_size: int = 8
    momentum: float = 0.9
    temperature: float = 0.2


def contrast(queries: Tensor, keys: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """The cross-entropy of finding each query's own key among those of the queue."""
    own = (queries * keys).sum(dim=1, keepdim=True)
    logits = torch.cat([own, queries @ queue.T], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64, device=logits.device))


class ToyMomentum(Objective):
    """Two random views of a clip are alike, and unlike earlier clips: a momentum encoder and a queue."""

    name = "toy_momentum"
    numbers_class = ToyMomentumNumbers

    def __init__(self, network: PreTrainedModel, processor: Any, data: Sequence[SplitData], numbers: Any) -> None:
        super().__init__()
        self.network, self.processor, self.data, self.numbers = network, processor, data, numbers
        self.momentum_network = copy.deepcopy(network).requires_grad_(False)
        generator = torch.Generator().manual_seed(0)
        queue = F.normalize(torch.randn(numbers.queue_size, network.config.hidden_size, generator=generator))
        self.register_buffer("queue", queue)
        self.register_buffer("position", torch.zeros((), dtype=torch.int64))
        self.keys: Tensor | None = None

    @classmethod
    def from_settings(cls, settings: "TrainingSettings", data: Sequence[SplitData]) -> Self:
        network, processor = make_trunk(settings)
        return cls(network, processor, data, read_numbers(cls, settings.objective_fields))

    @property
    def views(self) -> Mapping[str, View]:
        view = View(is_random=True, changes=[RandomHorizontalFlip()])
        return {"query": view, "key": view}

    def get_learnt_parameters(self) -> list[nn.Parameter]:
        return list(self.network.parameters())

    def forward(self, batch: Batch) -> Output:
        queries = F.normalize(self.network(**batch["views"]["query"]).pooler_output)
        with torch.no_grad():
            self.keys = F.normalize(self.momentum_network(**batch["views"]["key"]).pooler_output)
        loss = contrast(queries, self.keys, self.queue.clone(), self.numbers.temperature)
        return Output(loss, {"feature_deviation": queries.detach().std(dim=0).mean()})

    @torch.no_grad()
    def after_step(self, step: int, num_steps: int) -> None:  # noqa: ARG002  # the same at every step
        for slow, fast in zip(self.momentum_network.parameters(), self.network.parameters(), strict=True):
            slow.lerp_(fast, 1 - self.numbers.momentum)
        assert self.keys is not None
        keys = gather_tensors(self.keys)
        places = (int(self.position) + torch.arange(len(keys))) % len(self.queue)
        self.queue[places] = keys
        self.position.fill_((int(self.position) + len(keys)) % len(self.queue))

    def get_exports(self) -> list[Export]:
        return [Export("model", self.network, self.data[0], "Features that two views of a clip share.")]


class ToyConsistency(Objective):
    """Labelled clips have their labels, and unlabelled ones the same features mirrored: two loaders at once."""

    name = "toy_consistency"
    other_sources = ("unlabelled",)

    def __init__(self, network: PreTrainedModel, processor: Any, data: Sequence[SplitData]) -> None:
        super().__init__()
        self.network, self.processor, self.data = network, processor, data

    @classmethod
    def from_settings(cls, settings: "TrainingSettings", data: Sequence[SplitData]) -> Self:
        return cls(*make_trunk(settings), data)

    @property
    def views(self) -> Mapping[str, View]:
        return {"clip": View()}

    def get_views(self, source: str) -> Mapping[str, View]:
        assert source == "unlabelled"
        return {"weak": View(), "strong": View(is_random=True, changes=[RandomHorizontalFlip(1.0)])}

    def forward(self, batch: Batch, unlabelled: Batch) -> Output:
        features = self.network(**batch["views"]["clip"]).pooler_output
        weak, strong = (self.network(**unlabelled["views"][name]).pooler_output for name in ("weak", "strong"))
        consistency = (weak - strong).tanh().pow(2).mean()
        return Output(features.tanh().pow(2).mean() + consistency, {"consistency": consistency.detach()})

    def get_exports(self) -> list[Export]:
        return [Export("model", self.network, self.data[0], "Small features that a mirror leaves alone.")]


register_objective(ToyMomentum)
register_objective(ToyConsistency)
