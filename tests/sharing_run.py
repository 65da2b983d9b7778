"""What several processes do together, each with all of the results: run as a program, or in a test for one process.

python -m torch.distributed.run --standalone --nproc_per_node=2 sharing_run.py OUTPUT CHECKPOINT VIDEOS
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from muybridge import ErrorPolicy, VideoError
from muybridge.data import VideoRecord, load_videos
from muybridge.evaluation import evaluate
from muybridge.inference import Engine, Loading, engine
from muybridge.processes import process_state

WEIGHT = torch.randn(50, 20, generator=torch.Generator().manual_seed(0))


class Numbers:
    """Makes a video of a number; every seventh is broken."""

    num_loaded = 0

    def __call__(self, number: int) -> dict[str, torch.Tensor]:
        self.num_loaded += 1
        if number % 7 == 3:
            raise VideoError(f"{number}.mp4", "it is broken")
        return {"frames": torch.randn(2, 50, generator=torch.Generator().manual_seed(number))}


def score(frames: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"scores": (frames @ WEIGHT).tanh()}


def run_engine(videos: Any) -> dict[str, Any]:
    """What comes of numbers, as values that can be compared."""
    load, policy = Numbers(), ErrorPolicy("skip")
    outcomes = list(Engine(score, load, 2, Loading(batch_size=6, num_workers=2)).run_shared(videos, policy))
    return {
        "positions": [outcome.position for outcome in outcomes],
        "scores": [None if outcome.outputs is None else outcome.outputs["scores"].tolist() for outcome in outcomes],
        "skipped": policy.skipped,
        "num_loaded": load.num_loaded,
    }


def stream(folder: Path) -> Iterator[VideoRecord]:
    yield from load_videos(folder)


def share(output: Path, checkpoint: Path, videos: Path) -> None:
    """Writes what this process got of everything."""
    # So that there are several exchanges, and the last one is not full.
    engine.BATCHES_BETWEEN_EXCHANGES = 2
    output.mkdir(exist_ok=True)
    cases = {"none": range(0), "one": range(1), "iterator": iter(range(23)), "many": range(40)}
    torch.save({name: run_engine(numbers) for name, numbers in cases.items()}, output / "outcomes.pt")
    for name, data in (("records", load_videos(videos)), ("stream", stream(videos))):
        scores = evaluate(checkpoint, data, batch_size=4, num_workers=1).scores
        scores.save(output / f"{name}.safetensors")


if __name__ == "__main__":
    state = process_state()
    assert state.num_processes > 1
    share(Path(sys.argv[1]) / str(state.process_index), Path(sys.argv[2]), Path(sys.argv[3]))
