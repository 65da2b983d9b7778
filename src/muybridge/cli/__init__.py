"""The command `muybridge`: one module a command, imported when it is called."""

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers.utils import logging

from muybridge import __version__

# A module of this package for each command: `configure(parser)` and `run(arguments) -> exit status`.
COMMANDS = {
    "check": "find what is corrupt, short, there twice or leaking in a data set",
    "classify": "label video files with a model",
    "convert": "turn weights of another project into a checkpoint",
    "evaluate": "measure how good a model is on videos with labels",
    "fuse": "make one result of the scores of several models",
    "info": "describe a video or a model",
    "models": "list the architectures and the sources of weights",
    "pack": "put the clips of a data set into tar shards",
    "publish": "upload a checkpoint with its card to the Hub, or to a hub of your own",
    "serve-predictions": "label clips for another program, such as a hub with a try-it box",
    "sprites": "write clips of moving sprites, for trying things out",
    "train": "train a model on videos, from scratch or from a checkpoint",
}

Loaded = TypeVar("Loaded")


class CommandError(Exception):
    """Something that the user can mend; the message is all that is shown."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. The exit status is 0, 1 where some of the work failed, 2 where none could be done."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] not in COMMANDS:
        overview().parse_args(words or ["--help"])  # explains itself and exits
    name, *rest = words
    command = importlib.import_module(f"muybridge.cli.{name.replace('-', '_')}")
    parser = argparse.ArgumentParser(prog=f"muybridge {name}", description=command.__doc__)
    command.configure(parser)
    logging.disable_progress_bar()  # those of transformers, for files that load in a moment
    try:
        return command.run(parser.parse_args(rest))
    except (CommandError, ValueError, OSError) as error:
        # VideoError and ConversionError are ValueErrors: what they say is made for the user's eyes.
        print(f"muybridge {name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"muybridge {name}: stopped", file=sys.stderr)
        return 130


def named(name: str, load: Callable[..., Loaded], **arguments: Any) -> Loaded:
    """`load(name)`, with the name in the message where it is not there or its config is broken."""
    if Path(name).is_file():
        raise CommandError(f"the model {name!r} is a file; `muybridge convert` makes a model, a folder, of weights")
    try:
        return load(name, **arguments)
    except (OSError, ImportError, TypeError, StrictDataclassError, SafetensorError) as error:
        raise CommandError(f"the model {name!r} cannot be loaded: {error}") from error


def refuse_images(name: str, config: Any) -> None:
    """Refuses a network for images where one for videos is asked for."""
    from muybridge.models.registry import image_architectures

    if config.model_type in image_architectures():
        raise CommandError(
            f"{name} is a {config.model_type}, a network for images: use it in pipeline('image-classification'), or "
            "put it on frames with FramePoolingForVideoClassification.from_backbone"
        )


def positive(text: str) -> int:
    """The type of a flag for a number of things."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number


def overview() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="muybridge", description="A model hub for video.")
    parser.add_argument("--version", action="version", version=f"muybridge {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, description in COMMANDS.items():
        commands.add_parser(name, help=description, add_help=False)
    return parser
