"""What a run leaves behind: a checkpoint that anyone loads, with a card that says how it was made."""

import copy
import json
import platform
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from muybridge.cards import CardFacts, with_results, write_card
from muybridge.checkpoints import save_checkpoint
from muybridge.evaluation import Result
from muybridge.models import ARCHITECTURES
from muybridge.models.video_base import VideoForClassification
from muybridge.processing import VideoProcessor
from muybridge.text import make_bullets, make_markdown_table
from muybridge.training.learner import Task
from muybridge.training.progress import CURVES_FILE
from muybridge.training.settings import TrainingSettings
from muybridge.training.setup import TaskData

ALWAYS_SHOWN = ("epochs", "batch_size", "optimizer", "learning_rate", "schedule", "weight_decay", "augment", "seed")


def single_task_model(model: VideoForClassification, task: Task, tasks: Sequence[Task]) -> VideoForClassification:
    """The model with the classifier of one task; with a single task the model itself."""
    if len(tasks) == 1:
        return model
    alone = copy.deepcopy(model)
    with torch.random.fork_rng():  # what is drawn for its first weights must not be missing in training
        alone.reset_classifier(task.labels)
    with torch.no_grad():
        alone.get_classifier().weight.copy_(model.get_classifier().weight[task.start : task.end])
        alone.get_classifier().bias.copy_(model.get_classifier().bias[task.start : task.end])
    return alone


def write_checkpoint(
    folder: Path,
    model: VideoForClassification,
    processor: VideoProcessor,
    settings: TrainingSettings,
    data: TaskData,
    result: Result | None,
) -> None:
    """Writes the checkpoint with its card, in the place of an earlier one of the same run."""
    architecture, curves = ARCHITECTURES[model.config.model_type], folder.parent / CURVES_FILE
    facts = CardFacts(
        title=f"{architecture.title} on {data.name}",
        name=str(folder),
        summary=f"Gives a video one of {model.config.num_labels} labels. "
        f"Trained on {data.name} {describe_start(settings)}.",
        licence=settings.licence or "unknown",
        command="muybridge train " + " ".join(map(shlex.quote, command_words(settings))),
        papers=architecture.papers,
        datasets=[data.name],
        sections={
            "Labels": make_bullets(model.config.id2label[index] for index in range(model.config.num_labels)),
            "Data": describe_data(data),
            "Training": describe_training(settings) + show_curves(curves),
        },
    )
    card = write_card(model, facts)
    if result is not None:
        card = with_results(card, result.to_dict())
    save_checkpoint(folder, model, processor, card, pictures=[curves] if curves.exists() else [], replace=True)


def show_curves(curves: Path) -> str:
    """The picture of the curves, where one was drawn, as a card shows it."""
    return f"\n\n![The curves of the run]({curves.name})" if curves.exists() else ""


def describe_start(settings: TrainingSettings) -> str:
    """Which weights the run started from."""
    is_new = settings.model in ARCHITECTURES
    return "from random weights" if is_new else f"from the weights of {Path(settings.model).name}"


def describe_data(data: TaskData) -> str:
    counts = Counter(record.label for record in data.training)
    lines = [
        f"Trained on: {len(data.training)} videos of {len(counts)} labels, {min(counts.values())} to "
        f"{max(counts.values())} each",
        f"Evaluated on: {len(data.evaluation)} other videos" if data.evaluation else "Evaluated on: nothing",
    ]
    return make_bullets(lines)


def describe_training(settings: TrainingSettings) -> str:
    """The settings that a reader looks for, and those that are not what they are by default."""
    shown = {name: getattr(settings, name) for name in ALWAYS_SHOWN} | settings.given()
    rows = [
        {"setting": name.replace("_", " "), "value": str(value)}
        for name, value in shown.items()
        if name not in ("model", "data", "output", "licence")
    ]
    versions = f"With torch {torch.__version__}, transformers {transformers.__version__}, {platform.machine()}."
    return f"{make_markdown_table(rows)}\n\n{versions}"


def split_into_words(value: Any) -> list[str]:
    """A setting as the words that one types after its flag."""
    if isinstance(value, dict):
        return [f"{name}={json.dumps(part, separators=(',', ':'))}" for name, part in value.items()]
    return list(map(str, value)) if isinstance(value, list) else [str(value)]


def command_words(settings: TrainingSettings) -> list[str]:
    """The data, and the flags that differ from what they are by default, as one types them."""
    words = list(settings.data)
    for name, value in settings.given().items():
        if name == "data":
            continue
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif value is not None:
            words += [flag, *split_into_words(value)]
    return words
