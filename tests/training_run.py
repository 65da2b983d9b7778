"""A training run in a process of its own: `python training_run.py SETTINGS [--resume] [--evaluate]`."""

import sys
from importlib import import_module
from pathlib import Path

from accelerate import PartialState

from muybridge.data import load_videos
from muybridge.evaluation import evaluate
from muybridge.training import TrainingError, TrainingSettings, train

sys.path.insert(0, str(Path(__file__).parent))  # where it is run by another program
import_module("toy_objectives")  # which registers them

try:
    settings = TrainingSettings.load(Path(sys.argv[1]))
    folder = train(settings, resume="--resume" in sys.argv)
    if "--evaluate" in sys.argv:
        result = evaluate(folder, load_videos(settings.data[0], split="test"), "clip")
        if PartialState().is_main_process:
            result.save(Path(settings.output) / "results")
except TrainingError as error:
    sys.exit(str(error))
