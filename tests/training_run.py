"""A training run in a process of its own: `python training_run.py SETTINGS [--resume]`."""

import sys
from pathlib import Path

from muybridge.training import TrainingError, TrainingSettings, train

try:
    train(TrainingSettings.load(Path(sys.argv[1])), resume="--resume" in sys.argv)
except TrainingError as error:
    sys.exit(str(error))
