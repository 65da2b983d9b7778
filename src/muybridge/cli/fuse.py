"""Makes one result of the scores that several models gave the same videos (see `muybridge evaluate --output`)."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from muybridge.cli.arguments import add_json, add_output

if TYPE_CHECKING:
    from muybridge.evaluation import Scores


def configure(parser: argparse.ArgumentParser) -> None:
    from muybridge.evaluation.fusion import METHODS

    parser.add_argument("scores", nargs="+", metavar="SCORES", help="a folder of results, or a file of scores")
    parser.add_argument("--method", choices=METHODS, default="average", help="how they are fused (%(default)s)")
    parser.add_argument("--weights", type=float, nargs="+", help="for the method weighted: one a file")
    parser.add_argument(
        "--train", nargs="+", metavar="SCORES", help="for the method svm: the same models' scores of training videos"
    )
    add_output(parser, "the folder for results, scores, tables and pictures")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    from muybridge.evaluation import Result, fuse

    train = [load_scores(path) for path in arguments.train] if arguments.train else None
    scores = [load_scores(path) for path in arguments.scores]
    result = Result(fuse(scores, arguments.method, weights=arguments.weights, train=train))
    if arguments.output:
        result.save(arguments.output)
    print(json.dumps(result.to_dict(), indent=2, ensure_ascii=False) if arguments.json else result)
    return 0


def load_scores(path: str) -> "Scores":
    """The scores in a file, or in a folder that `Result.save` wrote."""
    from muybridge.evaluation import Scores

    return Scores.load(Path(path) / "scores.safetensors" if Path(path).is_dir() else path)
