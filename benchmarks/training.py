"""A step of training in bfloat16 against float32, and what our loop takes beside the step itself.

The bare step is forward, loss, backward and optimiser on a batch that is there. Our loop's own time is that of an epoch
without the time waiting for data, which `loading` measures. A frozen trunk's features can be computed once: that is
timed as two whole runs, from the first file to the checkpoint.
"""

import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from benchmarks.common import time_in_turn
from torch import Tensor
from transformers import PreTrainedModel

from muybridge.data.sprites import write_sprites
from muybridge.models import ARCHITECTURES
from muybridge.training import TrainingSettings, train
from muybridge.training.precision import pad_short_clips
from muybridge.training.progress import read_metrics

BATCH_SIZE = 2
R2PLUS1D_18 = {"convolutions": ["2plus1d"] * 4, "stem_convolution": "2plus1d", "num_labels": 400}
SMALL = {"depths": [1, 1, 1, 1], "hidden_sizes": [16, 32, 64, 128], "convolutions": ["2plus1d"] * 4}
SMALL_FRAMES, SMALL_SIZE, SMALL_BATCH, NUM_STEPS = 16, 64, 8, 20
ROUNDS = 3
FROZEN_EPOCHS = 10


def run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        bare, ours = measure_loop(Path(folder))
        frozen = measure_frozen(Path(folder))
    return {
        "step": measure_step(),
        "loop": {
            "what": f"a small R(2+1)D, {SMALL_BATCH} clips of {SMALL_FRAMES}×{SMALL_SIZE}×{SMALL_SIZE} a step, float32",
            "bare_ms": round(1e3 * bare, 1),
            "ours_ms": round(1e3 * ours, 1),
            "overhead": round(ours / bare - 1, 3),
        },
        "frozen_trunk": frozen,
    }


def measure_step() -> dict[str, Any]:
    """Seconds of a step of R(2+1)D-18 at 16×112×112."""
    clips = torch.randn(BATCH_SIZE, 16, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(BATCH_SIZE)
    steps = {
        "float32": Step(R2PLUS1D_18),
        "float32, channels last": Step(R2PLUS1D_18, channels_last=True),
        "bfloat16": Step(R2PLUS1D_18, is_mixed=True),
        "bfloat16, channels last": Step(R2PLUS1D_18, is_mixed=True, channels_last=True),
    }
    calls = {name: partial(step, clips, labels) for name, step in steps.items()}
    seconds = time_in_turn(calls, rounds=ROUNDS, settle=True)
    return {
        "what": f"R(2+1)D-18, {BATCH_SIZE} clips of 16×112×112 a step: forward, backward, optimiser",
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "times_faster": {name: round(seconds["float32"] / value, 2) for name, value in seconds.items()},
        "all_losses_finite": {name: step.is_finite for name, step in steps.items()},
    }


class Step:
    """A network with its optimiser; called, it takes a step on a batch."""

    def __init__(self, fields: dict[str, Any], *, is_mixed: bool = False, channels_last: bool = False) -> None:
        self.model = make_network(fields)
        if channels_last:
            self.model.to(memory_format=torch.channels_last_3d)
        if is_mixed:
            pad_short_clips(self.model)  # as the loop does
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9)
        self.is_mixed = is_mixed
        self.is_finite = True

    def __call__(self, clips: Tensor, labels: Tensor) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.is_mixed):
            logits = self.model(clips).logits
        loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.is_finite &= bool(loss.isfinite())


def make_network(fields: dict[str, Any]) -> PreTrainedModel:
    torch.manual_seed(0)
    architecture = ARCHITECTURES["video_resnet"]
    return architecture.task_model(architecture.config(**fields)).train()


def measure_loop(folder: Path) -> tuple[float, float]:
    """Seconds of a step, bare and in our loop, which are timed in turn."""
    write_sprites(
        folder / "clips", num_clips=NUM_STEPS * SMALL_BATCH, num_frames=SMALL_FRAMES, size=SMALL_SIZE, test_share=0,
        show_progress=False,
    )  # fmt: skip
    clips = torch.randn(SMALL_BATCH, SMALL_FRAMES, 3, SMALL_SIZE, SMALL_SIZE)
    labels = torch.arange(SMALL_BATCH)
    bare, ours = [], []
    for number in range(ROUNDS):
        step = Step({**SMALL, "num_frames": SMALL_FRAMES, "image_size": SMALL_SIZE, "num_labels": 8})
        for number_of_step in range(NUM_STEPS):
            if number_of_step == NUM_STEPS // 2:  # as in our loop
                start = time.perf_counter()
            step(clips, labels)
        bare.append((time.perf_counter() - start) / (NUM_STEPS // 2))
        ours.append(seconds_in_our_loop(folder / "clips", folder / str(number)))
    return statistics.median(bare), statistics.median(ours)


def seconds_in_our_loop(clips: Path, output: Path) -> float:
    """Of a step, without waiting for data, in the second half of a run: between two lines of its metrics."""
    settings = TrainingSettings(
        model="video_resnet", data=[str(clips)], output=str(output), model_fields=SMALL, num_frames=SMALL_FRAMES,
        image_size=SMALL_SIZE, batch_size=SMALL_BATCH, epochs=1, num_workers=0, trackers=[],
        learning_rate=1e-3,
    )  # fmt: skip
    train(settings)
    lines = [line for line in read_metrics(output / "metrics.jsonl") if "clips_per_second" in line]
    seconds = {
        line["step"]: line["step"] * SMALL_BATCH / line["clips_per_second"] * (1 - line["waiting_share"])
        for line in lines
    }
    return (seconds[NUM_STEPS] - seconds[NUM_STEPS // 2]) / (NUM_STEPS // 2)


def measure_frozen(folder: Path) -> dict[str, Any]:
    """Seconds of a run that trains the classifier alone, with and without features computed once."""
    seconds = {}
    for name, is_cached in (("every epoch", False), ("once", True)):
        settings = TrainingSettings(
            model="video_resnet", data=[str(folder / "clips")], output=str(folder / name), model_fields=SMALL,
            num_frames=SMALL_FRAMES, image_size=SMALL_SIZE, batch_size=SMALL_BATCH, epochs=FROZEN_EPOCHS, trackers=[],
            trained="classifier", augment=False, cache_features=is_cached,
        )  # fmt: skip
        start = time.perf_counter()
        train(settings)
        seconds[name] = time.perf_counter() - start
    return {
        "what": f"the classifier of that network, {FROZEN_EPOCHS} epochs of {NUM_STEPS * SMALL_BATCH} clips",
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "times_faster": round(seconds["every epoch"] / seconds["once"], 2),
    }
