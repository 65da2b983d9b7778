"""What a run says of itself: a bar, metrics as JSON lines, trackers, a picture of the curves."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from accelerate import Accelerator
from tqdm import tqdm

from muybridge.extras import extra, find_missing
from muybridge.files import replace_text

Batch = TypeVar("Batch")

CURVES_FILE = "curves.png"


class Stopwatch:
    """How much of the time is spent waiting for data."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.started = time.perf_counter()
        self.waited_seconds = 0.0
        self.num_clips = 0

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches, with the time until each is there counted."""
        iterator = iter(batches)
        while True:
            before = time.perf_counter()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            self.waited_seconds += time.perf_counter() - before
            yield batch

    @property
    def seconds(self) -> float:
        return max(1e-9, time.perf_counter() - self.started)

    @property
    def clips_per_second(self) -> float:
        return self.num_clips / self.seconds

    @property
    def waiting_share(self) -> float:
        return self.waited_seconds / self.seconds


class Progress:
    """Shown and written by the main process alone. A continued run takes up the lines up to its step."""

    def __init__(self, accelerator: Accelerator, folder: Path, num_steps: int, first_step: int) -> None:
        self.accelerator = accelerator
        self.folder = folder
        self.bar = tqdm(
            total=num_steps, initial=first_step, unit="step", disable=None if accelerator.is_main_process else True
        )
        self.path = folder / "metrics.jsonl"
        if accelerator.is_main_process:
            keep_until(self.path, first_step)

    def step(self, loss: float, stopwatch: Stopwatch) -> None:
        self.bar.update()
        self.bar.set_postfix_str(
            f"loss {loss:.3f}, {stopwatch.clips_per_second:.1f} clips/s, waiting {stopwatch.waiting_share:.0%}",
            refresh=False,
        )

    def log(self, step: int, metrics: dict[str, Any]) -> None:
        if not self.accelerator.is_main_process:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **metrics}) + "\n")
        numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
        self.accelerator.log(numbers, step=step)

    def say(self, text: str) -> None:
        if self.accelerator.is_main_process:
            self.bar.write(text)

    def close(self) -> None:
        self.bar.close()
        if self.accelerator.is_main_process and not find_missing("matplotlib", "plots"):
            draw_curves(read_metrics(self.path), self.folder / CURVES_FILE)


def list_left_out(trackers: Sequence[str]) -> list[str]:
    """What a run goes without because a library is not installed."""
    missing = {
        "no picture of the curves": find_missing("matplotlib", "plots"),
        "nothing for TensorBoard": find_missing("tensorboard", "tensorboard") if "tensorboard" in trackers else None,
    }
    return [f"{what}: {reason}" for what, reason in missing.items() if reason]


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """What was logged; a last line that a crash cut off is passed over."""
    if not path.is_file():
        return []
    *whole_lines, _ = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in whole_lines]


def keep_until(path: Path, step: int) -> None:
    """Drops what a run wrote after the state that it is continued from."""
    kept = [line for line in read_metrics(path) if line["step"] <= step]
    replace_text(path, "".join(json.dumps(line) + "\n" for line in kept))


def draw_curves(metrics: list[dict[str, Any]], path: Path) -> None:
    """The loss, and the accuracies where there are any, against the steps."""
    with extra("plots"):
        from matplotlib.figure import Figure

    accuracies = sorted({name for line in metrics for name in line if name.endswith("hit_at_1")})
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    plots = figure.subplots(1, 2)
    plots[0].plot(*column(metrics, "loss"), color="#1f6f8b", linewidth=1)
    plots[0].set(title="loss", xlabel="step")
    for name in accuracies:
        plots[1].plot(*column(metrics, name), marker="o", markersize=3, label=name)
    plots[1].set(title="accuracy", xlabel="step", ylim=(0, 1.02))
    if accuracies:
        plots[1].legend(frameon=False)
    for plot in plots:
        plot.spines[["top", "right"]].set_visible(False)
        plot.grid(alpha=0.25)
    figure.savefig(path, dpi=120)


def column(metrics: list[dict[str, Any]], name: str) -> tuple[list[int], list[float]]:
    lines = [line for line in metrics if name in line]
    return [line["step"] for line in lines], [line[name] for line in lines]
