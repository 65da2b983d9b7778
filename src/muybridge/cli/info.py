"""Describes a video file, or a model of videos or images: a checkpoint folder or a name on the Hub."""

import argparse
import json
import mimetypes
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from muybridge.cli.arguments import add_json
from muybridge.cli.errors import CommandError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("thing", metavar="VIDEO|MODEL", help="a file of video, an address of one, or a model")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    facts = describe_file(arguments.thing) if is_video(arguments.thing) else describe_model(arguments.thing)
    if arguments.json:
        json.dump(facts, sys.stdout, indent=2, ensure_ascii=False)
        print()
        return 0
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):<{width}}  {format_value(value)}")
    return 0


def format_value(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def is_video(thing: str) -> bool:
    """Whether it is a file, an address, or called like a video; a folder or any other name is a model."""
    kind = mimetypes.guess_type(thing)[0] or ""
    return not Path(thing).is_dir() and (Path(thing).is_file() or "://" in thing or kind.startswith("video/"))


def describe_file(source: str) -> dict[str, Any]:
    from muybridge.video import describe_video

    return {"video": source, **asdict(describe_video(source))}


def describe_model(name: str) -> dict[str, Any]:
    import torch
    from transformers import AutoConfig

    from muybridge.cli.models_by_name import open_model
    from muybridge.models.inspection import describe_network
    from muybridge.models.loading import load_processor
    from muybridge.models.registry import find_architecture

    config = open_model(name, AutoConfig.from_pretrained)
    architecture = find_architecture(config.model_type)
    if architecture is None:
        raise CommandError(f"{name} is a {config.model_type}, which is not one of Muybridge's architectures")
    with torch.device("meta"):  # nothing but its size is wanted
        model = architecture.get_task().get_auto_class().from_config(config)
    return {
        "model": name,
        **describe_network(model),
        "licence": read_licence(name),
        "processor": type(load_processor(name)).__name__,
    }


def read_licence(name: str) -> str:
    from transformers.utils import cached_file

    from muybridge.cards import parse_card

    path = cached_file(name, "README.md", _raise_exceptions_for_missing_entries=False)
    return parse_card(Path(path).read_text(encoding="utf-8"))["license"] if path else "unknown: there is no card"
