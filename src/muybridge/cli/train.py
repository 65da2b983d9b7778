"""Trains a model on videos: a new network of an architecture, or a checkpoint further."""

import argparse
import json
from dataclasses import MISSING, Field, fields
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from muybridge.cli.errors import CommandError
from muybridge.training.settings import TrainingSettings

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
    for setting in fields(TrainingSettings):
        if setting.name in TITLES:
            group = parser.add_argument_group(TITLES[setting.name])
        if setting.name == "data":
            parser.add_argument("data", nargs="+", metavar="DATA", help=setting.metadata["help"])
        else:
            add_flag(group, setting)
    parser.add_argument("--resume", action="store_true", help="go on with the run in the output folder")
    parser.add_argument("--allow-changes", action="store_true", help="also where its settings were others")


class GatherFields(argparse.Action):
    """Gathers NAME=VALUE words in a dictionary."""

    def __call__(self, _parser: Any, namespace: Any, values: Any, _option: str | None = None) -> None:
        setattr(namespace, self.dest, dict(values))


def parse_field(word: str) -> tuple[str, Any]:
    """The name and the value of NAME=VALUE; the value is JSON, or else the word that it is."""
    name, sign, value = word.partition("=")
    if not name or not sign:
        raise argparse.ArgumentTypeError(f"{word!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def add_flag(parser: argparse._ActionsContainer, setting: Field[Any]) -> None:
    """A flag for a setting: its type, choices, default and explanation."""
    flag = "--" + setting.name.replace("_", "-")
    default = setting.default if setting.default is not MISSING else None
    shown = "" if default in (None, False, "") else f" ({default})"
    arguments: dict[str, Any] = {"dest": setting.name, "default": argparse.SUPPRESS}
    arguments["help"] = (setting.metadata.get("help", "") + shown).strip().replace("%", "%%")
    kind = next(part for part in get_args(setting.type) or (setting.type,) if part is not NoneType)
    if setting.type is bool:
        arguments["action"] = argparse.BooleanOptionalAction
    elif get_origin(setting.type) is Literal:
        arguments["choices"] = get_args(setting.type)
    elif get_origin(setting.type) is dict:
        arguments |= {"nargs": "+", "type": parse_field, "action": GatherFields, "metavar": "NAME=VALUE"}
    elif get_origin(setting.type) is list:
        arguments |= {"nargs": "*" if setting.name == "trackers" else "+", "type": kind}
    else:
        arguments["type"] = kind
    is_required = setting.default is MISSING and setting.default_factory is MISSING
    parser.add_argument(flag, required=is_required, **arguments)


def run(arguments: argparse.Namespace) -> int:
    from muybridge.cli.models_by_name import hide_loading_bars
    from muybridge.training import TrainingError, train

    hide_loading_bars()
    values = vars(arguments)
    resume, allow_changes = values.pop("resume"), values.pop("allow_changes")
    try:
        folder = train(TrainingSettings(**values), resume=resume, allow_changes=allow_changes)
    except TrainingError as error:
        raise CommandError(str(error)) from error
    print(f"wrote {folder}")
    return 0
