"""Labels clips for another program, such as a hub with a try-it box: a line of JSON in, a line of JSON out.

A line in: {"id", "model": a name on the hub, "revision": a commit, "clip": a file, "top_k"}. A line out: {"id",
"labels": [{"label", "score"}], "frames": [JPEG in base64], "seconds": {"load", "predict"}}, or {"id", "error"}.
"""

import argparse

from muybridge.cli.arguments import add_fast, positive


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--num-models", type=positive, default=2, help="how many models stay loaded (%(default)s)")
    parser.add_argument("--num-threads", type=positive, help="how many a model computes with (as torch chooses)")
    add_fast(parser)


def run(arguments: argparse.Namespace) -> int:
    import torch

    from muybridge.cli.prediction_service import serve

    if arguments.num_threads:
        torch.set_num_threads(arguments.num_threads)
    serve(arguments.num_models, fast=arguments.fast)
    return 0
