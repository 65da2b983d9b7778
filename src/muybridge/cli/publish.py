"""Uploads a checkpoint folder with its card to the Hub, or to the hub whose address HF_ENDPOINT holds."""

import argparse

from muybridge.cli.errors import CommandError
from muybridge.publishing import REQUIREMENTS


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="a checkpoint, as train and convert leave it")
    parser.add_argument("name", metavar="NAMESPACE/NAME", help="what it is to be loaded by")
    parser.add_argument("--private", action="store_true", help="for members of the namespace alone")
    parser.add_argument("--without", nargs="+", choices=REQUIREMENTS, default=[], help="what is missing on purpose")
    parser.add_argument("--message", default="Publish a checkpoint", help="of the commit (%(default)s)")


def run(arguments: argparse.Namespace) -> int:
    from httpx2 import HTTPError
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError

    from muybridge.publishing import publish

    try:
        address = publish(
            arguments.folder,
            arguments.name,
            private=arguments.private,
            without=arguments.without,
            message=arguments.message,
        )
    except HFValidationError as error:
        raise CommandError(f"{arguments.name!r} cannot be the name of a model: {error}") from error
    except HTTPError as error:
        raise CommandError(f"{constants.ENDPOINT} does not take the checkpoint: {error}") from error
    print(f"published {arguments.name} at {address}")
    return 0
