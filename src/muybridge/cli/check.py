"""Reads every clip of a data set and says which are corrupt, short, there twice, or in training and test at once."""

import argparse
import json
from pathlib import Path
from typing import get_args

from muybridge.data import load_videos
from muybridge.data.check import DataReport, Finding, Kind, check_videos
from muybridge.data.formats import FORMATS
from muybridge.markdown import text_table

MAX_VIDEOS_SHOWN = 3  # of a finding; the report has all


def configure(parser: argparse.ArgumentParser) -> None:
    add_data_arguments(parser)
    parser.add_argument("--jobs", type=int, default=1, help="processes that read (%(default)s)")
    parser.add_argument("--min-seconds", type=float, default=0.5, help="shorter clips are reported (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="decode one frame a clip: damage further on stays hidden")
    parser.add_argument("--json", metavar="FILE", help="write the whole report to a file")


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """What names a data set."""
    formats = ", ".join(FORMATS)
    parser.add_argument("data", metavar="DATA", help=f"a path, or FORMAT:PLACE with a format of {formats}")
    parser.add_argument("--split", help="this split alone")
    parser.add_argument("--videos", metavar="DIR", help="where the clips lie, if not beside their list")
    parser.add_argument("--fold", type=int, default=1, help="which division of UCF101 or HMDB51 (%(default)s)")


def run(arguments: argparse.Namespace) -> int:
    records = load_videos(
        arguments.data, arguments.split, videos=arguments.videos, fold=arguments.fold, needs_labels=False
    )
    report = check_videos(
        records,
        num_jobs=arguments.jobs,
        min_seconds=arguments.min_seconds,
        is_quick=arguments.quick,
        show_progress=True,
    )
    if arguments.json:
        text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False)
        Path(arguments.json).write_text(text + "\n", encoding="utf-8")
    print_report(report)
    return 1 if report.findings else 0


def print_report(report: DataReport) -> None:
    if report.findings:
        print(text_table([row_of(finding) for finding in report.findings]), end="\n\n")
    splits = ", ".join(f"{count} {split}" for split, count in report.clips_per_split.items())
    where = f" ({splits})" if splits else ""
    print(f"{report.num_clips} clips{where}, {report.duration_seconds / 60:.1f} minutes of video")
    if report.num_absent:
        print(f"{report.num_absent} more are listed and not there")
    counts = [f"{report.count(kind)} {kind}" for kind in get_args(Kind)]
    print(", ".join(counts) if report.findings else "nothing is wrong with them")


def row_of(finding: Finding) -> dict[str, str]:
    shown = ", ".join(finding.videos[:MAX_VIDEOS_SHOWN])
    rest = len(finding.videos) - MAX_VIDEOS_SHOWN
    return {
        "finding": finding.kind,
        "videos": f"{shown} and {rest} more" if rest > 0 else shown,
        "reason": finding.reason,
    }
