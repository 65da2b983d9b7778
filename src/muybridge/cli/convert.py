"""Turns weights of another project into a checkpoint folder: config, safetensors, processor, card."""

import argparse
import sys

from muybridge.cli.arguments import add_output


def configure(parser: argparse.ArgumentParser) -> None:
    from muybridge.conversion.recipe import load_recipes

    parser.add_argument("source", metavar="SOURCE", help=f"whose weights: {', '.join(load_recipes())}")
    parser.add_argument(
        "weights", metavar="WEIGHTS", help="the file: .pth, .safetensors, .keras, .h5, .index, .caffemodel"
    )
    add_output(parser, "the folder to make", required=True)
    parser.add_argument("--labels", help="a file with one label a line, or a known data set such as kinetics400")
    parser.add_argument("--verify", action="store_true", help="load the checkpoint again and compare its outputs")


def run(arguments: argparse.Namespace) -> int:
    from muybridge.cli.models_by_name import hide_loading_bars
    from muybridge.conversion.file_conversion import convert_file
    from muybridge.data.labels import read_labels

    hide_loading_bars()
    labels = read_labels(arguments.labels) if arguments.labels else None
    folder = convert_file(arguments.source, arguments.weights, arguments.output, labels=labels, verify=arguments.verify)
    verified = " (read back, and equal)" if arguments.verify else ""
    print(f"wrote {folder}{verified}", file=sys.stderr)
    return 0
