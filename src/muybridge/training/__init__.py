"""The loop on Accelerate: settings, what is trained, checkpoints that a killed run goes on from."""

from muybridge.training.loop import TrainingError, train
from muybridge.training.settings import TrainingSettings

__all__ = ["TrainingError", "TrainingSettings", "train"]
