"""Labels video files with a model: a table for people, or a line of JSON a video for programs."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm
from transformers import AutoConfig

from muybridge.cli import CommandError, named, positive, refuse_images
from muybridge.data.formats.catalogue import video_files
from muybridge.pipelines import VideoClassificationPipeline
from muybridge.video import ErrorPolicy

BAR_WIDTH = 20


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("clips", nargs="+", metavar="CLIP", help="a file of video, the address of one, or a folder")
    parser.add_argument("--model", required=True, help="a checkpoint folder or a name on the Hub")
    parser.add_argument("--top-k", type=positive, default=5, help="how many labels a video (%(default)s)")
    parser.add_argument("--num-clips", type=positive, help="clips a video whose scores are averaged (as saved)")
    parser.add_argument(
        "--num-crops", type=int, choices=(1, 3, 5, 10), help="crops a clip whose scores are averaged (as saved)"
    )
    parser.add_argument(
        "--batch-size", type=positive, default=1, help="views that go through the model at once (%(default)s)"
    )
    parser.add_argument("--workers", type=int, default=1, help="threads that decode ahead (%(default)s)")
    parser.add_argument(
        "--errors", default="skip", help="raise, skip or retry(N): what an unreadable file does (%(default)s)"
    )
    parser.add_argument("--fast", action="store_true", help="fold norms, and use bfloat16 where the processor has it")
    parser.add_argument("--json", action="store_true", help="one line of JSON a video")


def run(arguments: argparse.Namespace) -> int:
    policy = ErrorPolicy.parse(arguments.errors)
    clips = list(expand(arguments.clips))
    views = {name: getattr(arguments, name) for name in ("num_clips", "num_crops") if getattr(arguments, name)}
    refuse_images(arguments.model, named(arguments.model, AutoConfig.from_pretrained))  # before anything slow
    pipeline = named(
        arguments.model,
        VideoClassificationPipeline,
        policy=policy,
        fast=arguments.fast,
        batch_size=arguments.batch_size,
        num_workers=arguments.workers,
        top_k=arguments.top_k,
        **views,
    )
    for clip, labels in zip(clips, progress(pipeline(iter(clips)), len(clips)), strict=True):
        if arguments.json:
            print_json({"video": clip, **({"labels": labels} if labels else {"error": dict(policy.skipped)[clip]})})
        elif labels:
            print_table(clip, labels)
    if policy.skipped:
        print(policy.report(), file=sys.stderr)
    return 1 if policy.skipped else 0


def expand(clips: Sequence[str]) -> Iterator[str]:
    """The clips, with the videos in it in the place of each folder."""
    for clip in clips:
        if not Path(clip).is_dir():
            yield clip
            continue
        files = list(map(str, video_files(Path(clip))))
        if not files:
            raise CommandError(f"the folder {clip} holds no videos")
        yield from files


def progress(results: Iterator[Any], total: int) -> Iterator[Any]:
    """A bar on the terminal for work that takes a while; nothing where output goes to a file or is short."""
    return iter(tqdm(results, total=total, unit="video", disable=None if total > 1 else True))


def print_json(result: dict[str, Any]) -> None:
    with tqdm.external_write_mode():
        print(json.dumps(result, ensure_ascii=False), flush=True)


def print_table(clip: str, labels: list[dict[str, Any]]) -> None:
    width = max(len(label["label"]) for label in labels)
    with tqdm.external_write_mode():
        print(clip)
        for label in labels:
            bar = "█" * round(label["score"] * BAR_WIDTH)
            print(f"  {label['label']:<{width}}  {label['score']:6.1%}  {bar}")
        sys.stdout.flush()
