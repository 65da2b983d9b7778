"""What a run leaves behind: a checkpoint that anyone loads, with a card that says how it was made."""

import copy
from collections.abc import Sequence
from pathlib import Path

import torch

from muybridge.cards import CardFacts, bullets, write_card
from muybridge.checkpoints import save_checkpoint
from muybridge.models import ARCHITECTURES
from muybridge.models.base import VideoForClassification
from muybridge.processing import VideoProcessor
from muybridge.training.learner import Task
from muybridge.training.settings import TrainingSettings


def single_task_model(model: VideoForClassification, task: Task, tasks: Sequence[Task]) -> VideoForClassification:
    """The model with the classifier of one task; with a single task the model itself."""
    if len(tasks) == 1:
        return model
    alone = copy.deepcopy(model)
    alone.reset_classifier(task.labels)
    with torch.no_grad():
        alone.get_classifier().weight.copy_(model.get_classifier().weight[task.start : task.end])
        alone.get_classifier().bias.copy_(model.get_classifier().bias[task.start : task.end])
    return alone


def write_checkpoint(
    folder: Path, model: VideoForClassification, processor: VideoProcessor, settings: TrainingSettings
) -> None:
    """Writes the checkpoint, in the place of an earlier one of the same run."""
    facts = CardFacts(
        title=folder.parent.name,
        name=str(folder),
        summary=f"Trained on {', '.join(settings.data)}, from {settings.model}.",
        licence=settings.licence or "unknown",
        command="muybridge train " + " ".join(command_words(settings)),
        papers=ARCHITECTURES[model.config.model_type].papers,
        sections={"Labels": bullets([model.config.id2label[index] for index in range(model.config.num_labels)])},
    )
    save_checkpoint(folder, model, processor, write_card(model, facts), replace=True)


def command_words(settings: TrainingSettings) -> list[str]:
    """The flags that differ from what they are by default, as one types them."""
    words = []
    for name, value in settings.given().items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif value is not None and value != []:
            words += [flag, *(map(str, value) if isinstance(value, list) else [str(value)])]
    return words
