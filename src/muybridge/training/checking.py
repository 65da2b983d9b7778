"""What is looked at before a run begins: whether there is something to learn, and whose the weights are."""

from collections.abc import Sequence
from pathlib import Path

from safetensors import safe_open
from transformers import AutoConfig

from muybridge.data import check_labels
from muybridge.models import ARCHITECTURES
from muybridge.models.video_base import VideoForClassification
from muybridge.text import shorten
from muybridge.training.settings import TrainingSettings
from muybridge.training.setup import TaskData


def check_task_labels(data: Sequence[TaskData], split: str) -> None:
    """Raises where a clip has no label to be learned, or where all clips of a data set have the same one."""
    for task in data:
        check_labels(task.training, f"{task.name}, split {split!r}" if task.training.splits else task.name)


def warnings_of(data: Sequence[TaskData]) -> list[str]:
    """What is odd and yet may be meant: labels to be recognised that no clip teaches."""
    lines = []
    for task in data:
        taught = {record.label for record in task.training}
        asked = {record.label for record in task.evaluation or ()} - taught
        if asked:
            lines.append(
                f"{task.name}: split {task.evaluation_split!r} has labels that no clip teaches: "
                f"{shorten(sorted(map(str, asked)))}; its clips of them count as wrong"
            )
    return lines


def check_caching(settings: TrainingSettings, model: VideoForClassification) -> None:
    """Raises where features are to be cached which the model's classifier does not score alone."""
    if settings.cache_features and not model.scores_pooled_features:
        raise ValueError(
            "cache_features keeps the features of a clip, and this network scores each of its frames; set "
            "cache_features=False"
        )


def check_weights(checkpoint: str) -> None:
    """Raises where a checkpoint folder holds the weights of another architecture than its config names."""
    weights = Path(checkpoint) / "model.safetensors"
    if not weights.is_file():
        return
    stated = AutoConfig.from_pretrained(checkpoint).model_type
    with safe_open(weights, framework="pt") as file:
        prefixes = {name.partition(".")[0] for name in file.keys()}  # noqa: SIM118  # not a dictionary
    found = [name for name, each in ARCHITECTURES.items() if each.classifier.base_model_prefix in prefixes]
    if found and stated not in found:
        raise ValueError(
            f"{checkpoint}: config.json says {stated}, but model.safetensors holds the weights of {found[0]}; put back "
            "the config.json that belongs to them"
        )
