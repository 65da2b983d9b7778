"""The data and the objective that a run's settings name."""

from collections.abc import Sequence

from muybridge.data import SplitData, load_videos, name_data
from muybridge.objectives import OBJECTIVES, Objective, get_objective
from muybridge.training.settings import TrainingSettings

EVALUATION_SPLITS = ("test", "val", "validation")  # in this order, where the settings name none


def load_data(settings: TrainingSettings) -> list[SplitData]:
    data = [load_split_data(settings, source) for source in settings.data]
    names = [part.name for part in data]
    if len(set(names)) < len(names):
        raise ValueError(f"the data sets are called {', '.join(names)}; rename a folder, for each gets a classifier")
    return data


def load_split_data(settings: TrainingSettings, source: str) -> SplitData:
    records = load_videos(source)
    split = settings.split if records.splits else None
    evaluated = settings.evaluation_split or next((name for name in EVALUATION_SPLITS if name in records.splits), None)
    return SplitData(
        name=name_data(source),
        training=records.with_split(split) if split else records,
        evaluation=records.with_split(evaluated) if evaluated else None,
        training_split=split,
        evaluation_split=evaluated,
    )


def make_objective(settings: TrainingSettings, data: Sequence[SplitData]) -> Objective:
    """The objective of the settings, which must not say what only others heed."""
    objective = get_objective(settings.objective)
    of_others = {name for each in OBJECTIVES.values() for name in each.own_settings} - set(objective.own_settings)
    unheeded = sorted(of_others & set(settings.list_given()))
    if unheeded:
        raise ValueError(
            f"{', '.join(unheeded)} of the settings means nothing to the objective {settings.objective!r}; leave it out"
        )
    missing = sorted(set(objective.other_sources) ^ set(settings.other_data))
    if missing:
        raise ValueError(
            f"other_data names {', '.join(settings.other_data) or 'nothing'}, and the objective {settings.objective!r} "
            f"learns from {', '.join(objective.other_sources) or 'no other data'} beside data; name just these"
        )
    return objective.from_settings(settings, data)
