"""How good the networks of a run are, while it goes on: each is judged by its task."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from muybridge.evaluation.evaluators import find_evaluator
from muybridge.models.registry import get_architecture
from muybridge.objectives import Export
from muybridge.training.settings import TrainingSettings

# What is watched of a result: the first of these that it has.
WATCHED = ("clip_hit_at_1", "mean_average_precision")


@dataclass(frozen=True)
class Judgement:
    """The result of an export, and the numbers of it that are watched."""

    result: Any
    numbers: dict[str, float]


def judge(export: Export, processor: Any, settings: TrainingSettings) -> Judgement | None:
    """The result on one clip of each evaluation video; None where nothing judges the network, or there are none."""
    evaluate = find_evaluator_of(export)
    if export.data.evaluation is None or evaluate is None:
        return None
    result = evaluate(
        export.model, export.data.evaluation, "clip", processor=processor, batch_size=settings.batch_size,
        num_workers=settings.num_workers, errors=settings.errors,
        provenance={"data": export.data.name, "split": export.data.evaluation_split},
    )  # fmt: skip
    watched = next((name for name in WATCHED if result.metrics.get(name) is not None), None)
    return Judgement(result, {} if watched is None else {watched: float(result.metrics[watched])})


def find_evaluator_of(export: Export) -> Callable[..., Any] | None:
    """What judges networks of the export's task; None for a trunk, which has no task yet."""
    if export.model.base_model is export.model:
        return None
    return find_evaluator(get_architecture(export.model.config.model_type).task)
