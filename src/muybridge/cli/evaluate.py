"""Measures how good a model is on videos with labels, under a protocol that goes with the numbers.

Several models, folds, or one model a fold, give the mean and the deviation too. On many GPUs:
accelerate launch $(which muybridge) evaluate …
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from muybridge.cards import Card, add_results
from muybridge.cli import CommandError, named
from muybridge.data import VideoRecords, load_videos
from muybridge.data.formats import FORMATS
from muybridge.evaluation import PROTOCOLS, Result, describe_splits, evaluate, over_splits
from muybridge.evaluation.evaluate import loaded
from muybridge.evaluation.groups import GROUPS, read_groups
from muybridge.processes import process_state


def configure(parser: argparse.ArgumentParser) -> None:
    formats = ", ".join(FORMATS)
    parser.add_argument("--model", required=True, nargs="+", help="a checkpoint folder or a name on the Hub")
    parser.add_argument("--data", required=True, help=f"a path, or FORMAT:PLACE with a format of {formats}")
    parser.add_argument("--split", default="test", help="which split, where the data have any (%(default)s)")
    parser.add_argument("--videos", metavar="DIR", help="where the clips lie, if not beside their list")
    parser.add_argument("--fold", type=int, nargs="+", default=[1], help="which divisions of UCF101 or HMDB51 (1)")
    parser.add_argument("--protocol", choices=PROTOCOLS, help="how a video is judged, if not as the checkpoint says")
    parser.add_argument(
        "--groups",
        metavar="FILE",
        help=f"{', '.join(GROUPS)} or JSON, {{group: [label, …], …}}: each group gets its mAP",
    )
    parser.add_argument("--output", metavar="DIR", help="where results, scores, tables and pictures go")
    parser.add_argument(
        "--batch-size", type=int, default=8, help="views that go through the model at once (%(default)s)"
    )
    parser.add_argument("--workers", type=int, default=2, help="threads that decode ahead (%(default)s)")
    parser.add_argument(
        "--errors", default="skip", help="raise, skip or retry(N): what an unreadable file does (%(default)s)"
    )
    parser.add_argument("--leave-out-unreadable", action="store_true", help="do not count unreadable videos as wrong")
    parser.add_argument("--card", action="store_true", help="put the numbers on the card of the model, a folder")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> int:
    pairs = paired(arguments.model, arguments.fold)
    folders = output_folders(arguments.output, len(pairs))
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
                add_results(model, result.to_dict())
            if not arguments.json:
                print(result, end="\n\n" if len(pairs) > 1 else "\n")
    if process_state().is_main_process:
        print_all(results, as_json=arguments.json)
    return 1 if any(result.scores.unreadable for result in results) else 0


def require_cards(models: Sequence[str]) -> None:
    """Before the work, and not after it."""
    for model in models:
        if not (Path(model) / "README.md").is_file():
            raise CommandError(f"{model} is no folder with a card, README.md, to put the numbers on; leave out --card")
        Card.parse((Path(model) / "README.md").read_text(encoding="utf-8"))


def measure(arguments: argparse.Namespace, name: str, fold: int) -> Result:
    data = load(arguments, fold)
    model, processor = named(name, lambda name: loaded(name, None))
    return evaluate(
        model.to(process_state().device),
        data,
        arguments.protocol,
        processor=processor,
        groups=read_groups(arguments.groups) if arguments.groups else None,
        unreadable_are_wrong=not arguments.leave_out_unreadable,
        provenance={"data": arguments.data, "split": arguments.split if data.splits else None, "fold": fold},
        batch_size=arguments.batch_size,
        num_workers=arguments.workers,
        errors=arguments.errors,
    )


def load(arguments: argparse.Namespace, fold: int) -> VideoRecords:
    """The videos of the split, or all of them where the data are not divided."""
    data = load_videos(arguments.data, videos=arguments.videos, fold=fold)
    return data.with_split(arguments.split) if data.splits else data


def paired(models: Sequence[str], folds: Sequence[int]) -> list[tuple[str, int]]:
    """Each model with its fold; one model goes with every fold, and one fold with every model."""
    if 1 not in (len(models), len(folds)) and len(models) != len(folds):
        raise CommandError(f"there are {len(models)} models and {len(folds)} folds; give one of either, or as many")
    count = max(len(models), len(folds))
    return list(zip(list(models) * (count // len(models)), list(folds) * (count // len(folds)), strict=True))


def output_folders(output: str | None, count: int) -> list[Path | None]:
    if output is None:
        return [None] * count
    return [Path(output)] if count == 1 else [Path(output) / str(number) for number in range(1, count + 1)]


def print_all(results: Sequence[Result], *, as_json: bool) -> None:
    if as_json:
        facts: dict[str, Any] = results[0].to_dict()
        if len(results) > 1:
            summary = {
                name: {"mean": mean, "deviation": spread} for name, (mean, spread) in over_splits(results).items()
            }
            facts = {"results": [result.to_dict() for result in results], "over_splits": summary}
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    elif len(results) > 1:
        print(f"mean and deviation of {len(results)} results\n{describe_splits(results)}")
    for result in results:
        for video, reason in result.scores.unreadable.items():
            print(f"unreadable: {video}: {reason}", file=sys.stderr)
