"""Labels video files with a model: a table for people, or a line of JSON a video for programs."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from muybridge.cli.arguments import (
    add_batch_size,
    add_errors,
    add_fast,
    add_json,
    add_model,
    add_num_workers,
    positive,
)
from muybridge.cli.errors import CommandError

BAR_WIDTH = 20


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("clips", nargs="+", metavar="CLIP", help="a file of video, the address of one, or a folder")
    add_model(parser)
    parser.add_argument("--top-k", type=positive, default=5, help="how many labels a video (%(default)s)")
    parser.add_argument("--num-clips", type=positive, help="clips a video whose scores are averaged (as saved)")
    parser.add_argument(
        "--num-crops", type=int, choices=(1, 3, 5, 10), help="crops a clip whose scores are averaged (as saved)"
    )
    add_batch_size(parser, 1)
    add_num_workers(parser, 1, "threads that decode ahead")
    add_errors(parser)
    add_fast(parser)
    add_json(parser, "print a line of JSON a video, for programs")


def run(arguments: argparse.Namespace) -> int:
    from transformers import AutoConfig

    from muybridge.cli.models_by_name import open_model, refuse_images
    from muybridge.pipelines import VideoClassificationPipeline
    from muybridge.video import ErrorPolicy

    policy = ErrorPolicy.parse(arguments.errors)
    clips = list(list_clips(arguments.clips))
    views = {name: getattr(arguments, name) for name in ("num_clips", "num_crops") if getattr(arguments, name)}
    refuse_images(arguments.model, open_model(arguments.model, AutoConfig.from_pretrained))  # before anything slow
    pipeline = open_model(
        arguments.model,
        VideoClassificationPipeline,
        policy=policy,
        fast=arguments.fast,
        batch_size=arguments.batch_size,
        num_workers=arguments.num_workers,
        top_k=arguments.top_k,
        **views,
    )
    for clip, labels in zip(clips, show_progress(pipeline(iter(clips)), len(clips)), strict=True):
        if arguments.json:
            print_json({"video": clip, **({"labels": labels} if labels else {"error": dict(policy.skipped)[clip]})})
        elif labels:
            print_table(clip, labels)
    if policy.skipped:
        print(policy.report(), file=sys.stderr)
    return 1 if policy.skipped else 0


def list_clips(clips: Sequence[str]) -> Iterator[str]:
    """The clips, with the videos in it in the place of each folder."""
    from muybridge.data.formats.catalogue import find_video_files

    for clip in clips:
        if not Path(clip).is_dir():
            yield clip
            continue
        files = list(map(str, find_video_files(Path(clip))))
        if not files:
            raise CommandError(f"the folder {clip} holds no videos")
        yield from files


def show_progress(results: Iterator[Any], total: int) -> Iterator[Any]:
    """A bar on the terminal for work that takes a while; nothing where output goes to a file or is short."""
    from tqdm import tqdm

    return iter(tqdm(results, total=total, unit="video", disable=None if total > 1 else True))


def print_json(result: dict[str, Any]) -> None:
    from tqdm import tqdm

    with tqdm.external_write_mode():
        print(json.dumps(result, ensure_ascii=False), flush=True)


def print_table(clip: str, labels: list[dict[str, Any]]) -> None:
    from tqdm import tqdm

    width = max(len(label["label"]) for label in labels)
    with tqdm.external_write_mode():
        print(clip)
        for label in labels:
            bar = "█" * round(label["score"] * BAR_WIDTH)
            print(f"  {label['label']:<{width}}  {label['score']:6.1%}  {bar}")
        sys.stdout.flush()
