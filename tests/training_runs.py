"""Small runs for the tests of the loop, in this process or in others as users start them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from muybridge.data import SplitData, VideoRecord, VideoRecords
from muybridge.models import ARCHITECTURES
from muybridge.objectives import Classification
from muybridge.training import TrainingSettings

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "ACCELERATE_USE_CPU": "true"}
NUM_CLIPS = 24


def make_tiny_objective(name: str = "video_resnet", **fields: Any) -> Classification:
    """A classification by a network of some kilobytes, of clips that nobody opens."""
    torch.manual_seed(0)
    architecture = ARCHITECTURES[name]
    labels = ["LABEL_0", "LABEL_1", "LABEL_2"]
    network = architecture.task_model(architecture.tiny_config(**fields))
    records = VideoRecords([VideoRecord(f"{label}.mp4", label) for label in labels], labels)
    processor = architecture.processor()  # of clips that nobody opens
    return Classification(network, processor, [SplitData("clips", records)])


def make_settings(data: Path, output: Path, **fields: Any) -> TrainingSettings:
    """A C3D of some kilobytes, without batch norm, for a few steps of four clips."""
    values: dict[str, Any] = {
        "model": "c3d",
        "data": [str(data)],
        "output": str(output),
        "num_frames": 4,
        "image_size": 32,
        "model_fields": dict(ARCHITECTURES["c3d"].tiny),
        "batch_size": 4,
        "epochs": 2,
        "learning_rate": 0.02,
        "num_workers": 0,
        "trackers": [],
        **fields,
    }
    return TrainingSettings(**values)


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def start(settings: TrainingSettings, *words: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """`train(settings)` in a process of its own; `launcher` goes between Python and the program."""
    path = Path(settings.output).with_suffix(".settings.json")
    settings.save(path)
    program = Path(__file__).with_name("training_run.py")
    return subprocess.Popen(
        [sys.executable, *launcher, str(program), str(path), *words],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    return output


def kill_when(process: subprocess.Popen[str], condition: Any, kind: int = signal.SIGKILL) -> str:
    """Sends a signal as soon as the condition holds; gives what the process said."""
    while not condition():
        if process.poll() is not None:
            raise AssertionError(f"the run ended before it was to be stopped:\n{process.communicate()[0]}")
        time.sleep(0.002)
    process.send_signal(kind)
    return process.communicate(timeout=120)[0]
