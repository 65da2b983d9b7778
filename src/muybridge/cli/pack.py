"""Packs the clips of a data set into tar shards, for file systems that choke on a million files; see WebDataset."""

import argparse
import sys
from typing import TYPE_CHECKING

from muybridge.cli.arguments import add_data, add_errors, add_fold, add_num_workers, add_output, positive

if TYPE_CHECKING:
    from muybridge.data.encoding import Encoding


def configure(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    add_fold(parser)
    add_output(parser, "the folder to make, or to go on with", required=True)
    parser.add_argument("--shard-size", type=positive, default=256, help="clips a shard (%(default)s)")
    parser.add_argument("--short-side", type=positive, help="encode anew, with a shorter side of so many pixels")
    parser.add_argument(
        "--keyframe-interval", type=positive, help="encode anew, with a keyframe every so many frames (12)"
    )
    add_num_workers(parser, 0, "processes that write beside this one")
    add_errors(parser, "clip")


def run(arguments: argparse.Namespace) -> int:
    from muybridge.data import load_videos
    from muybridge.data.shards import pack_videos
    from muybridge.video import ErrorPolicy

    records = load_videos(arguments.data, arguments.split, videos=arguments.videos, fold=arguments.fold)
    report = pack_videos(
        records,
        arguments.output,
        shard_size=arguments.shard_size,
        encoding=make_encoding(arguments),
        policy=ErrorPolicy.parse(arguments.errors),
        num_workers=arguments.num_workers,
        show_progress=True,
    )
    plural = "s" * (report.num_shards != 1)
    print(f"{report.num_clips} clips in {report.num_shards} shard{plural}, {report.num_bytes / 1e6:.1f} MB")
    for name, reason in report.skipped.items():
        print(f"  left out: {name}: {reason}", file=sys.stderr)
    return 1 if report.skipped else 0


def make_encoding(arguments: argparse.Namespace) -> "Encoding | None":
    """None where the files are to be copied as they are."""
    from muybridge.data.encoding import Encoding

    given = {name: getattr(arguments, name) for name in ("short_side", "keyframe_interval")}
    given = {name: value for name, value in given.items() if value is not None}
    return Encoding(**given) if given else None
