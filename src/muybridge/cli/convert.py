"""Turns weights of another project into a checkpoint folder: config, safetensors, processor, card."""

import argparse
import sys

from muybridge.conversion import SOURCES
from muybridge.conversion.file_conversion import convert_file
from muybridge.data.labels import read_labels


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=f"whose weights: {', '.join(SOURCES)}")
    parser.add_argument(
        "weights", metavar="WEIGHTS", help="the file: .pth, .safetensors, .keras, .h5, .index, .caffemodel"
    )
    parser.add_argument("out", metavar="OUT", help="the folder to make")
    parser.add_argument("--labels", help="a file with one label a line, or a known data set such as kinetics400")
    parser.add_argument("--verify", action="store_true", help="load the checkpoint again and compare its outputs")


def run(arguments: argparse.Namespace) -> int:
    labels = read_labels(arguments.labels) if arguments.labels else None
    folder = convert_file(arguments.source, arguments.weights, arguments.out, labels=labels, verify=arguments.verify)
    verified = " (read back, and equal)" if arguments.verify else ""
    print(f"wrote {folder}{verified}", file=sys.stderr)
    return 0
