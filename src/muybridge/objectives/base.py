"""What every objective has in common.

An objective says what is learnt, and owns all that this takes: networks, momentum encoders, queues, what is mixed and
how. The loop of `muybridge.training` says how it is learnt, and knows no objective in particular.

A batch is a dictionary:

    views      {view: {input: Tensor (B, …)}}   what `views` of the objective asks for
    targets    {name: Tensor (B, …)}            what `encode_targets` makes of the records
    index      Tensor (B,)                      the record's place in its data set
    data_set   Tensor (B,)                      which of the data sets it is from

Shapes: B clips.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from torch import Generator, Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from transformers import PreTrainedModel

from muybridge.data import SplitData, VideoRecords
from muybridge.models.adapters import find_head
from muybridge.processing import View

if TYPE_CHECKING:
    from muybridge.training.settings import TrainingSettings

Batch = dict[str, Any]
Targets = dict[str, Tensor]


class Output(NamedTuple):
    """The loss of a batch, and numbers to watch beside it; all are scalars."""

    loss: Tensor
    metrics: Mapping[str, Tensor]


@dataclass(frozen=True)
class Export:
    """A network that a run leaves behind, as a checkpoint in a folder of this name.

    `data` is the data set whose labels it has, or on which it was trained; `summary` and `sections` go on its card.
    """

    name: str
    model: PreTrainedModel
    data: SplitData
    summary: str
    sections: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Numbers:
    """The numbers of an objective, `objective_fields` of the settings; each objective has its own."""


class Objective(nn.Module):
    """What is learnt.

    A subclass sets `network`, the network that is trained and exported, `processor`, which makes clips for it, and
    `views`; it computes a loss in `forward`. Everything else has a default here.
    """

    name: ClassVar[str]
    # The class of its numbers, and those of the general settings that it heeds and others may not.
    numbers_class: ClassVar[type[Numbers]] = Numbers
    own_settings: ClassVar[tuple[str, ...]] = ()
    # Further data that it learns from, by name: batches of them come as arguments of `forward`.
    other_sources: ClassVar[tuple[str, ...]] = ()

    network: Any  # a PreTrainedModel that understands the vocabulary of `muybridge.models.vocabulary`
    processor: Any
    data: Sequence[SplitData]

    @classmethod
    def from_settings(cls, settings: "TrainingSettings", data: Sequence[SplitData]) -> Self:
        """The objective for these data, with new networks or those of the checkpoint that the settings name."""
        raise NotImplementedError

    @property
    def views(self) -> Mapping[str, View]:
        """What it sees of each clip, by the names under which a batch has it."""
        raise NotImplementedError

    def get_views(self, source: str) -> Mapping[str, View]:
        """What it sees of the clips of one of `other_sources`."""
        raise NotImplementedError(f"the objective {self.name!r} has no source {source!r}")

    @property
    def encode_targets(self) -> Callable[..., Targets]:
        """A function (records, index, data_set=number) that tells what is known of a record, in the loader's workers.

        What `records.encode_targets` gives, or tensors of its own.
        """
        return encode_nothing

    def change_batches(self, batches: dict[str, Batch], generator: Generator) -> dict[str, Batch]:  # noqa: ARG002  # it draws nothing
        """The arguments of `forward`, with what is drawn for whole batches, such as which clips are mixed."""
        return batches

    def forward(self, batch: Batch) -> Output:
        """The loss of a batch; batches of `other_sources` are further arguments, under their names."""
        raise NotImplementedError

    def after_step(self, step: int, num_steps: int) -> None:
        """What follows a step of the optimiser: a momentum encoder, a queue, a centre."""

    def compute_fixed_outputs(self, batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002  # it has none
        """What a frozen trunk gives for a batch; `forward` takes it as `batch["fixed"]` in the place of views."""
        raise ValueError(f"cache_features is True, and the objective {self.name!r} trains the trunk; set it to False")

    @property
    def export_names(self) -> list[str]:
        """The names of the checkpoints' folders."""
        return ["model"]

    def get_exports(self) -> list[Export]:
        """The networks that become checkpoints, in the order of `export_names`."""
        raise NotImplementedError

    def get_warnings(self) -> list[str]:
        """What is odd about the data and yet may be meant."""
        return []

    # Which parameters are trained, and at what rate: by the stages that the network lists from input to output.

    def get_stages(self) -> list[nn.Module]:
        return self.network.get_stages()

    def freeze(self, num_trained_stages: int | None) -> None:
        """Leaves the last `num_trained_stages` stages, and what stands behind them, to be trained; None is all."""
        stages = self.get_stages()
        first = 0 if num_trained_stages is None else max(0, len(stages) - num_trained_stages)
        for parameter in self.network.get_trunk().parameters():
            parameter.requires_grad_(first == 0)
        head = find_head(self.network)
        for part in [*stages[first:], *([] if head is None else [head])]:
            part.requires_grad_(True)

    def set_training_mode(self) -> None:
        """Training mode, but for the norms of frozen stages: their statistics must not move either."""
        self.train()
        for stage in self.get_stages():
            if not any(parameter.requires_grad for parameter in stage.parameters()):
                for module in stage.modules():
                    if isinstance(module, _BatchNorm):
                        module.eval()

    def get_parameter_groups(self, settings: "TrainingSettings") -> list[dict[str, Any]]:
        """Groups for an optimiser: each stage with its rate, norms and biases without weight decay.

        The last stage has `trunk_rate_factor` times the learning rate, and each stage before it `layer_decay` times
        the rate of the one after it. What never gets a gradient, such as a momentum encoder, is in no group.
        """
        rates: dict[int, float] = {}
        for distance, stage in enumerate(reversed(self.get_stages())):
            rate = settings.learning_rate * settings.trunk_rate_factor * settings.layer_decay**distance
            rates.update({id(parameter): rate for parameter in stage.parameters()})
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for parameter in self.get_learnt_parameters():
            decay = settings.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rates.get(id(parameter), settings.learning_rate), decay), []).append(parameter)
        return [{"params": members, "lr": rate, "weight_decay": decay} for (rate, decay), members in groups.items()]

    def get_learnt_parameters(self) -> list[nn.Parameter]:
        """The parameters that an optimiser gets; a stage that is frozen now may be trained later."""
        return list(self.parameters())


def copy_objective(objective: Objective) -> Objective:
    """A copy of the networks and of all else that learning changes; the data, which may be large, are shared."""
    return copy.deepcopy(objective, {id(objective.data): objective.data})


def encode_nothing(_records: VideoRecords, _index: int, data_set: int) -> Targets:  # noqa: ARG001  # whichever it is
    return {}


def read_numbers(objective: type[Objective], given: Mapping[str, Any]) -> Any:
    """The numbers of an objective, from `objective_fields`."""
    known = [each.name for each in fields(objective.numbers_class)]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(
            f"objective_fields has {', '.join(unknown)}, which the objective {objective.name!r} does not know; it has "
            f"{', '.join(known) or 'none'}"
        )
    return objective.numbers_class(**given)
