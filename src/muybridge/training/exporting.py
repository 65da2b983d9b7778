"""What a run leaves behind: checkpoints that anyone loads, with cards that say how they were made."""

import json
import platform
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import torch
import transformers

from muybridge.cards import CardFacts, add_results, write_card
from muybridge.checkpoints import save_checkpoint
from muybridge.data import SplitData
from muybridge.models.registry import get_architecture
from muybridge.objectives import Export
from muybridge.text import make_bullets, make_markdown_table
from muybridge.training.judging import Judgement
from muybridge.training.progress import CURVES_FILE
from muybridge.training.settings import TrainingSettings

ALWAYS_SHOWN = ("epochs", "batch_size", "optimizer", "learning_rate", "schedule", "weight_decay", "augment", "seed")


def write_checkpoint(
    folder: Path, export: Export, processor: Any, settings: TrainingSettings, judgement: Judgement | None
) -> None:
    """Writes the checkpoint with its card, in the place of an earlier one of the same run."""
    architecture, curves = get_architecture(export.model.config.model_type), folder.parent / CURVES_FILE
    facts = CardFacts(
        title=f"{architecture.title} on {export.data.name}",
        name=str(folder),
        summary=export.summary,
        licence=settings.licence or "unknown",
        command="muybridge train " + " ".join(map(shlex.quote, make_command_words(settings))),
        papers=architecture.papers,
        datasets=[export.data.name],
        sections={
            **export.sections,
            "Data": describe_data(export.data),
            "Training": describe_training(settings, has_curves=curves.is_file()),
        },
    )
    card = write_card(export.model, facts)
    if judgement is not None:
        card = add_results(card, judgement.result.to_dict())
    pictures = [curves] if curves.is_file() else []
    save_checkpoint(folder, export.model, processor, card, pictures=pictures, replace=True)


def describe_data(data: SplitData) -> str:
    counts = Counter(record.label for record in data.training if record.label is not None)
    labels = f" of {len(counts)} labels, {min(counts.values())} to {max(counts.values())} each" if counts else ""
    evaluated = f"{len(data.evaluation)} other videos" if data.evaluation else "nothing"
    return make_bullets([f"Trained on: {len(data.training)} videos{labels}", f"Evaluated on: {evaluated}"])


def describe_training(settings: TrainingSettings, *, has_curves: bool) -> str:
    """The settings that a reader looks for, and those that are not what they are by default."""
    shown = {name: getattr(settings, name) for name in ALWAYS_SHOWN} | settings.list_given()
    rows = [
        {"setting": name.replace("_", " "), "value": str(value)}
        for name, value in shown.items()
        if name not in ("model", "data", "output", "licence")
    ]
    versions = f"With torch {torch.__version__}, transformers {transformers.__version__}, {platform.machine()}."
    curves = [f"![The curves of the run]({CURVES_FILE})"] if has_curves else []
    return "\n\n".join([make_markdown_table(rows), versions, *curves])


def split_into_words(value: Any) -> list[str]:
    """A setting as the words that one types after its flag."""
    if isinstance(value, dict):
        return [f"{name}={json.dumps(part, separators=(',', ':'))}" for name, part in value.items()]
    return list(map(str, value)) if isinstance(value, list) else [str(value)]


def make_command_words(settings: TrainingSettings) -> list[str]:
    """The data, and the flags that differ from what they are by default, as one types them."""
    words = list(settings.data)
    for name, value in settings.list_given().items():
        if name == "data":
            continue
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif value is not None:
            words += [flag, *split_into_words(value)]
    return words
