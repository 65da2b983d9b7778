"""Measures how good a model is on videos with labels, under a protocol that goes with the numbers.

Several models, folds, or one model a fold, give the mean and the deviation too. On many GPUs:
accelerate launch $(which muybridge) evaluate …
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from muybridge.cli.arguments import (
    add_batch_size,
    add_data,
    add_errors,
    add_fold,
    add_json,
    add_model,
    add_num_workers,
    add_output,
)
from muybridge.cli.errors import CommandError

if TYPE_CHECKING:
    from muybridge.data import VideoRecords
    from muybridge.evaluation import Result


def configure(parser: argparse.ArgumentParser) -> None:
    from muybridge.evaluation.groups import GROUPS
    from muybridge.evaluation.protocols import PROTOCOLS

    add_data(parser, split="test")
    add_model(parser, several=True)
    add_fold(parser, several=True)
    parser.add_argument("--protocol", choices=PROTOCOLS, help="how a video is judged, if not as the checkpoint says")
    parser.add_argument("--task", help="which task of a model of several is judged, if the labels do not tell")
    parser.add_argument(
        "--groups",
        metavar="FILE",
        help=f"{', '.join(GROUPS)} or JSON, {{group: [label, …], …}}: each group gets its mAP",
    )
    add_output(parser, "the folder for results, scores, tables and pictures")
    add_batch_size(parser, 8)
    add_num_workers(parser, 2, "threads that decode ahead")
    add_errors(parser)
    parser.add_argument("--leave-out-unreadable", action="store_true", help="do not count unreadable videos as wrong")
    parser.add_argument("--card", action="store_true", help="put the numbers on the card of the model, a folder")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    from muybridge.cards import add_results_to_folder
    from muybridge.processes import process_state

    pairs = pair_models_with_folds(arguments.model, arguments.fold)
    folders = list_output_folders(arguments.output, len(pairs))
    if arguments.card:
        require_cards(arguments.model)
    results = []
    for (model, fold), folder in zip(pairs, folders, strict=True):
        result = measure(arguments, model, fold)
        results.append(result)
        if process_state().is_main_process:
            if folder:
                result.save(folder)
            if arguments.card:
                add_results_to_folder(model, result.to_dict())
            if not arguments.json:
                print(result, end="\n\n" if len(pairs) > 1 else "\n")
    if process_state().is_main_process:
        print_all(results, as_json=arguments.json)
    return 1 if any(result.scores.unreadable for result in results) else 0


def require_cards(models: Sequence[str]) -> None:
    """Before the work, and not after it."""
    from muybridge.cards import Card

    for model in models:
        if not (Path(model) / "README.md").is_file():
            raise CommandError(f"{model} is no folder with a card, README.md, to put the numbers on; leave out --card")
        Card.parse((Path(model) / "README.md").read_text(encoding="utf-8"))


def measure(arguments: argparse.Namespace, name: str, fold: int) -> "Result":
    from muybridge.cli.models_by_name import open_model
    from muybridge.evaluation import evaluate
    from muybridge.evaluation.groups import read_groups
    from muybridge.evaluation.scoring import load
    from muybridge.processes import process_state

    data = load_data(arguments, fold)
    model, processor = open_model(name, lambda name: load(name, None))
    return evaluate(
        model.to(process_state().device),
        data,
        arguments.protocol,
        processor=processor,
        task=arguments.task,
        groups=read_groups(arguments.groups) if arguments.groups else None,
        unreadable_are_wrong=not arguments.leave_out_unreadable,
        provenance={"data": arguments.data, "split": arguments.split if data.splits else None, "fold": fold},
        batch_size=arguments.batch_size,
        num_workers=arguments.num_workers,
        errors=arguments.errors,
    )


def load_data(arguments: argparse.Namespace, fold: int) -> "VideoRecords":
    """The videos of the split, or all of them where the data are not divided."""
    from muybridge.data import load_videos

    data = load_videos(arguments.data, videos=arguments.videos, fold=fold)
    return data.with_split(arguments.split) if data.splits else data


def pair_models_with_folds(models: Sequence[str], folds: Sequence[int]) -> list[tuple[str, int]]:
    """Each model with its fold; one model goes with every fold, and one fold with every model."""
    if 1 not in (len(models), len(folds)) and len(models) != len(folds):
        raise CommandError(f"there are {len(models)} models and {len(folds)} folds; give one of either, or as many")
    count = max(len(models), len(folds))
    return list(zip(list(models) * (count // len(models)), list(folds) * (count // len(folds)), strict=True))


def list_output_folders(output: str | None, count: int) -> list[Path | None]:
    """A folder for each of `count` results: the one that is asked for, or numbered ones in it."""
    if output is None:
        return [None] * count
    return [Path(output)] if count == 1 else [Path(output) / str(number) for number in range(1, count + 1)]


def print_all(results: Sequence["Result"], *, as_json: bool) -> None:
    from muybridge.evaluation import average_splits, describe_splits

    if as_json:
        facts: dict[str, Any] = results[0].to_dict()
        if len(results) > 1:
            summary = {
                name: {"mean": mean, "deviation": spread} for name, (mean, spread) in average_splits(results).items()
            }
            facts = {"results": [result.to_dict() for result in results], "over_splits": summary}
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    elif len(results) > 1:
        print(f"mean and deviation of {len(results)} results\n{describe_splits(results)}")
    for result in results:
        for video, reason in result.scores.unreadable.items():
            print(f"unreadable: {video}: {reason}", file=sys.stderr)
