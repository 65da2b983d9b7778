"""What a run needs to go on as if it had never stopped, kept in its folder: written whole or not at all."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors import SafetensorError

from muybridge.training.averaging import WeightAverage

# What Python, torch and safetensors raise where a file cannot be written.
WRITE_ERRORS = (OSError, RuntimeError, SafetensorError)
PREFIX = "step-"
NUM_KEPT = 2


@dataclass
class Position:
    """How far a run has come. `batch` counts those of the epoch that were used, on each process."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    num_processes: int = 1

    @property
    def epoch_of_last_batch(self) -> int:
        """The epoch that was trained last: the one before, where none of this one's batches was used."""
        return self.epoch if self.batch else max(0, self.epoch - 1)


def list_saved_states(folder: Path) -> list[Path]:
    """The whole states in a run's folder, oldest first."""
    return sorted((folder / "states").glob(f"{PREFIX}*[0-9]"))


def save_state(accelerator: Accelerator, folder: Path, position: Position, average: WeightAverage | None) -> None:
    """Writes a state beside the others, and lets go of older ones only when it is whole."""
    final = folder / "states" / f"{PREFIX}{position.step:08d}"
    partial = final.with_suffix(".partial")
    if accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)
    accelerator.wait_for_everyone()
    try:
        accelerator.save_state(str(partial))
        if accelerator.is_main_process:
            if average is not None:
                torch.save(average.state_dict(), partial / "average.pt")
            (partial / "position.json").write_text(json.dumps(asdict(position)), encoding="utf-8")
    except WRITE_ERRORS:
        shutil.rmtree(partial, ignore_errors=True)  # on a full disk it would take the room that is left
        raise
    accelerator.wait_for_everyone()  # each process writes its part, and the folder is moved when all are there
    if accelerator.is_main_process:
        shutil.rmtree(final, ignore_errors=True)
        partial.replace(final)
        for old in list_saved_states(folder)[:-NUM_KEPT]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()


def read_newest_position(folder: Path) -> Position:
    """How far the newest state is; the beginning where there is none."""
    states = list_saved_states(folder)
    return Position(**json.loads((states[-1] / "position.json").read_text(encoding="utf-8"))) if states else Position()


def load_state(accelerator: Accelerator, folder: Path, average: WeightAverage | None) -> None:
    """Takes up the newest state."""
    newest = list_saved_states(folder)[-1]
    accelerator.load_state(str(newest))
    if average is not None:
        average.load_state_dict(torch.load(newest / "average.pt", weights_only=True))
