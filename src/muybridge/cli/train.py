"""Trains a model on videos: a new network of an architecture, or a checkpoint further."""

import argparse
import json
from dataclasses import MISSING, Field, fields
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from muybridge.cli import CommandError
from muybridge.training import TrainingError, TrainingSettings, train

# The title of the help that begins with each of these settings.
TITLES = {
    "model": "the run",
    "epochs": "length",
    "optimizer": "optimisation",
    "trained": "what is trained",
    "augment": "regularisation",
    "num_frames": "a new network",
    "mixed_precision": "how it runs",
}


def configure(parser: argparse.ArgumentParser) -> None:
    group: argparse._ActionsContainer = parser
    for spec in fields(TrainingSettings):
        if spec.name in TITLES:
            group = parser.add_argument_group(TITLES[spec.name])
        add_flag(group, spec)
    parser.add_argument("--resume", action="store_true", help="go on with the run in the output folder")
    parser.add_argument("--allow-changes", action="store_true", help="also where its settings were others")


class Fields(argparse.Action):
    """Gathers NAME=VALUE words in a dictionary."""

    def __call__(self, _parser: Any, namespace: Any, values: Any, _option: str | None = None) -> None:
        setattr(namespace, self.dest, dict(values))


def name_and_value(word: str) -> tuple[str, Any]:
    """The value is JSON, or else the word that it is."""
    name, sign, value = word.partition("=")
    if not name or not sign:
        raise argparse.ArgumentTypeError(f"{word!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def add_flag(parser: argparse._ActionsContainer, spec: Field[Any]) -> None:
    """A flag for a field: its type, choices, default and explanation."""
    flag = "--" + spec.name.replace("_", "-")
    default = spec.default if spec.default is not MISSING else None
    shown = "" if default in (None, False, "") else f" ({default})"
    arguments: dict[str, Any] = {"dest": spec.name, "default": argparse.SUPPRESS}
    arguments["help"] = (spec.metadata.get("help", "") + shown).strip().replace("%", "%%")
    kind = next(part for part in get_args(spec.type) or (spec.type,) if part is not NoneType)
    if spec.type is bool:
        arguments["action"] = argparse.BooleanOptionalAction
    elif get_origin(spec.type) is Literal:
        arguments["choices"] = get_args(spec.type)
    elif get_origin(spec.type) is dict:
        arguments |= {"nargs": "+", "type": name_and_value, "action": Fields, "metavar": "NAME=VALUE"}
    elif get_origin(spec.type) is list:
        arguments |= {"nargs": "*" if spec.name == "trackers" else "+", "type": kind}
    else:
        arguments["type"] = kind
    is_required = spec.default is MISSING and spec.default_factory is MISSING
    parser.add_argument(flag, required=is_required, **arguments)


def run(arguments: argparse.Namespace) -> int:
    values = vars(arguments)
    resume, allow_changes = values.pop("resume"), values.pop("allow_changes")
    try:
        folder = train(TrainingSettings(**values), resume=resume, allow_changes=allow_changes)
    except TrainingError as error:
        raise CommandError(str(error)) from error
    print(f"wrote {folder}")
    return 0
