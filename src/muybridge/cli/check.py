"""Reads every clip of a data set and says which are corrupt, short, there twice, or in training and test at once."""

import argparse
import json
from typing import TYPE_CHECKING, get_args

from muybridge.cli.arguments import add_data, add_fold, add_json, add_num_workers, add_output

if TYPE_CHECKING:
    from muybridge.data.check import DataReport, Finding

MAX_VIDEOS_SHOWN = 3  # of a finding; the report has all


def configure(parser: argparse.ArgumentParser) -> None:
    add_data(parser)
    add_fold(parser)
    add_num_workers(parser, 0, "processes that read beside this one")
    parser.add_argument("--min-seconds", type=float, default=0.5, help="shorter clips are reported (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="decode one frame a clip: damage further on stays hidden")
    add_output(parser, "write the whole report as JSON", metavar="FILE")
    add_json(parser, "print the whole report as JSON, for programs")


def run(arguments: argparse.Namespace) -> int:
    from muybridge.data import load_videos
    from muybridge.data.check import check_videos
    from muybridge.files import replace_text

    records = load_videos(arguments.data, arguments.split, videos=arguments.videos, fold=arguments.fold)
    report = check_videos(
        records,
        num_workers=arguments.num_workers,
        min_seconds=arguments.min_seconds,
        is_quick=arguments.quick,
        show_progress=True,
    )
    text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False)
    if arguments.output:
        replace_text(arguments.output, text + "\n")
    if arguments.json:
        print(text)
    else:
        print_report(report)
    return 1 if report.findings else 0


def print_report(report: "DataReport") -> None:
    from muybridge.data.check import Kind
    from muybridge.text import make_text_table

    if report.findings:
        print(make_text_table([make_row(finding) for finding in report.findings]), end="\n\n")
    splits = ", ".join(f"{count} {split}" for split, count in report.clips_per_split.items())
    where = f" ({splits})" if splits else ""
    print(f"{report.num_clips} clips{where}, {report.duration_seconds / 60:.1f} minutes of video")
    if report.num_absent:
        print(f"{report.num_absent} more are listed and not there")
    counts = [f"{report.count(kind)} {kind}" for kind in get_args(Kind)]
    print(", ".join(counts) if report.findings else "nothing is wrong with them")


def make_row(finding: "Finding") -> dict[str, str]:
    shown = ", ".join(finding.videos[:MAX_VIDEOS_SHOWN])
    rest = len(finding.videos) - MAX_VIDEOS_SHOWN
    return {
        "finding": finding.kind,
        "videos": f"{shown} and {rest} more" if rest > 0 else shown,
        "reason": finding.reason,
    }
