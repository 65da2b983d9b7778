"""Which function judges networks of which task: training asks here, and so does whoever has a network of any task."""

from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

# By the name of a task in `muybridge.models.TASKS`, where the function is: "module:name". It is called as `evaluate`
# is, and what it gives has `metrics`, numbers by name, and `to_dict()`, what goes into a card.
EVALUATORS: dict[str, str] = {"video-classification": "muybridge.evaluation.scoring:evaluate"}


def register_evaluator(task: str, place: str) -> None:
    """Makes the function at `place`, "module:name", judge networks of a task."""
    if task in EVALUATORS:
        raise ValueError(f"the task {task!r} has an evaluator already, {EVALUATORS[task]}")
    EVALUATORS[task] = place


def find_evaluator(task: str) -> Callable[..., Any] | None:
    """The function that judges networks of a task; None where nothing can."""
    return resolve_name(EVALUATORS[task]) if task in EVALUATORS else None
