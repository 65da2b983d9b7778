"""The objectives by name."""

from muybridge.objectives.base import Objective
from muybridge.objectives.classification import Classification

OBJECTIVES: dict[str, type[Objective]] = {}


def register_objective(objective: type[Objective]) -> None:
    """Makes an objective known by its name, to `train` and to the command line."""
    OBJECTIVES[objective.name] = objective


def get_objective(name: str) -> type[Objective]:
    if name not in OBJECTIVES:
        raise ValueError(f"there is no objective {name!r}; there are {', '.join(OBJECTIVES)}")
    return OBJECTIVES[name]


register_objective(Classification)
