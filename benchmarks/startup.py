"""How long the command takes to begin, and what `import muybridge` adds to transformers' own loading of a checkpoint.

Every program runs in a process of its own, all of them in turn. A start of Python that does nothing is part of each.
"""

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.clips import write_realistic_clip
from benchmarks.common import time_in_turn

from muybridge.models import ARCHITECTURES

ROUNDS = 7
# What a network of ours is a subclass of, and what loads it.
BENEATH = """
import torch
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer
"""
LOADED = "import muybridge\nfrom transformers import AutoModel\nAutoModel.from_pretrained({0!r})"


def run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "clips").mkdir()
        clip = write_realistic_clip(folder / "clips" / "clip.mp4", 240, 320, seconds=2)
        architecture = ARCHITECTURES["c3d"]
        architecture.model(architecture.tiny_config()).save_pretrained(folder / "model")
        commands = {
            "muybridge --help": ["--help"],
            "muybridge --version": ["--version"],
            "muybridge models": ["models"],
            "muybridge classify --wrong": ["classify", "--wrong"],
            "muybridge info CLIP": ["info", str(clip)],
            "muybridge check FOLDER, of one clip": ["check", str(folder / "clips")],
        }
        programs = {
            "python -c pass": ["-c", "pass"],
            **{name: ["-m", "muybridge", *words] for name, words in commands.items()},
            "torch and what we subclass": ["-c", BENEATH],
            "import muybridge, AutoModel.from_pretrained": ["-c", LOADED.format(str(folder / "model"))],
        }
        seconds = time_in_turn({name: partial(start, words) for name, words in programs.items()}, rounds=ROUNDS)
    beneath, loaded = (seconds[name] for name in list(programs)[-2:])
    return {
        "what": f"medians of {ROUNDS} runs in turn, each in a process of its own",
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "loading_over_what_is_beneath": round(loaded / beneath - 1, 3),
    }


def start(words: list[str]) -> None:
    subprocess.run([sys.executable, *words], capture_output=True, check=False)
