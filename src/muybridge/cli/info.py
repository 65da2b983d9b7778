"""Describes a video file, or a model: a checkpoint folder or a name on the Hub."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoModelForVideoClassification
from transformers.models.auto.video_processing_auto import AutoVideoProcessor

from muybridge.cards import parse_card
from muybridge.cli import CommandError, named
from muybridge.models.inspection import count_gmacs, count_parameters
from muybridge.video import VideoReader


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("thing", metavar="VIDEO|MODEL", help="a file of video, an address of one, or a model")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> int:
    path = Path(arguments.thing)
    is_model = path.is_dir() or not (path.is_file() or path.suffix or "://" in arguments.thing)
    facts = describe_model(arguments.thing) if is_model else describe_video(arguments.thing)
    if arguments.json:
        json.dump(facts, sys.stdout, indent=2, ensure_ascii=False)
        print()
        return 0
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):<{width}}  {value}")
    return 0


def describe_video(source: str) -> dict[str, Any]:
    with VideoReader(source) as reader:
        len(reader)  # counts the frames, where the header only claims a number
        return {"video": source, **asdict(reader.metadata)}


def describe_model(name: str) -> dict[str, Any]:
    config = named(name, AutoConfig.from_pretrained)
    if not hasattr(config, "get_protocol"):
        raise CommandError(f"{name} is a {config.model_type}, which is not one of Muybridge's architectures")
    model = AutoModelForVideoClassification.from_config(config)
    return {
        "model": name,
        "architecture": config.model_type,
        "parameters": count_parameters(model),
        "gmacs_a_clip": round(count_gmacs(model), 2),
        "input": f"{config.num_frames} frames of {config.num_channels}×{config.image_size}×{config.image_size}",
        "labels": config.num_labels,
        "features": config.hidden_size,
        "protocol": str(config.get_protocol()) if config.protocol else "none is stated",
        "licence": licence(Path(name)),
        "processor": type(AutoVideoProcessor.from_pretrained(name)).__name__,
    }


def licence(folder: Path) -> str:
    card = folder / "README.md"
    return parse_card(card.read_text(encoding="utf-8"))["license"] if card.is_file() else "unknown: there is no card"
