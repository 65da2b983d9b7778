"""The command `muybridge`: one module a command, imported when it is called.

A command's module imports what it needs within its functions: a wrong flag is refused, and help is given, before
anything that takes time is loaded.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

from muybridge import __version__
from muybridge.cli.errors import CommandError
from muybridge.extras import MissingExtraError

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command. The exit status is 0, 1 where some of the work failed, 2 where none could be done."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] not in COMMANDS:
        make_overview().parse_args(words or ["--help"])  # explains itself and exits
    name, *rest = words
    command = importlib.import_module(f"muybridge.cli.{name.replace('-', '_')}")
    parser = argparse.ArgumentParser(prog=f"muybridge {name}", description=command.__doc__)
    command.configure(parser)
    try:
        return command.run(parser.parse_args(rest))
    except (CommandError, MissingExtraError, ValueError, OSError) as error:
        # VideoError, DataError and ConversionError are ValueErrors: what they say is made for the user's eyes.
        print(f"muybridge {name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"muybridge {name}: stopped", file=sys.stderr)
        return 130


def make_overview() -> argparse.ArgumentParser:
    """The parser that knows no command in particular: it lists them all."""
    parser = argparse.ArgumentParser(prog="muybridge", description="A model hub for video.")
    parser.add_argument("--version", action="version", version=f"muybridge {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, description in COMMANDS.items():
        commands.add_parser(name, help=description, add_help=False)
    return parser
