"""Packs the clips of a data set into tar shards, for file systems that choke on a million files; see WebDataset."""

import argparse
import sys

from muybridge.cli.check import add_data_arguments
from muybridge.data import load_videos
from muybridge.data.encoding import Encoding
from muybridge.data.shards import pack_videos
from muybridge.video import ErrorPolicy


def configure(parser: argparse.ArgumentParser) -> None:
    add_data_arguments(parser)
    parser.add_argument("out", metavar="OUT", help="the folder to make, or to go on with")
    parser.add_argument("--shard-size", type=int, default=256, help="clips a shard (%(default)s)")
    parser.add_argument("--short-side", type=int, help="encode anew, with a shorter side of so many pixels")
    parser.add_argument("--keyframe-interval", type=int, help="encode anew, with a keyframe every so many frames (12)")
    parser.add_argument("--jobs", type=int, default=1, help="processes that write (%(default)s)")
    parser.add_argument(
        "--errors", default="skip", help="raise, skip or retry(N): what an unreadable clip does (%(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    records = load_videos(
        arguments.data, arguments.split, videos=arguments.videos, fold=arguments.fold, needs_labels=False
    )
    report = pack_videos(
        records,
        arguments.out,
        shard_size=arguments.shard_size,
        encoding=encoding_of(arguments),
        policy=ErrorPolicy.parse(arguments.errors),
        num_jobs=arguments.jobs,
        show_progress=True,
    )
    plural = "s" * (report.num_shards != 1)
    print(f"{report.num_clips} clips in {report.num_shards} shard{plural}, {report.num_bytes / 1e6:.1f} MB")
    for name, reason in report.skipped.items():
        print(f"  left out: {name}: {reason}", file=sys.stderr)
    return 1 if report.skipped else 0


def encoding_of(arguments: argparse.Namespace) -> Encoding | None:
    """None where the files are to be copied as they are."""
    given = {name: getattr(arguments, name) for name in ("short_side", "keyframe_interval")}
    given = {name: value for name, value in given.items() if value is not None}
    return Encoding(**given) if given else None
