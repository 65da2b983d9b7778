"""What a frozen trunk gives, computed once and kept on disk, so that what stands behind it trains in seconds."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import send_to_device
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from muybridge.files import replace_file
from muybridge.objectives import Objective
from muybridge.training.errors import read_batches
from muybridge.training.settings import TrainingSettings
from muybridge.training.sources import FixedOutputs, RunClips

KEY = "made_from"


def load_fixed_outputs(settings: TrainingSettings, clips: RunClips, objective: Objective) -> FixedOutputs:
    """The outputs for all clips, read from the run's folder where the same trunk gave them for the same clips."""
    path = Path(settings.output) / "features.safetensors"
    key = compute_key(settings, objective)
    columns = read_columns(path, key)
    if columns is None:
        columns = compute_columns(settings, clips, objective)
        with replace_file(path) as partial:
            save_file(columns, partial, {KEY: key})
    return FixedOutputs(clips, columns)


def compute_key(settings: TrainingSettings, objective: Objective) -> str:
    """What the outputs depend on: the data, the processor, and every bit of the network."""
    told = [settings.data, settings.split, objective.processor.to_dict()]
    digest = hashlib.sha256(json.dumps(told, default=str).encode())
    for name, tensor in sorted(objective.network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read_columns(path: Path, key: str) -> dict[str, Tensor] | None:
    if not path.is_file():
        return None
    with safe_open(path, framework="pt") as file:
        if (file.metadata() or {}).get(KEY) != key:
            return None
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dictionary


@torch.no_grad()
def compute_columns(settings: TrainingSettings, clips: RunClips, objective: Objective) -> dict[str, Tensor]:
    """The outputs, targets and places of every clip, one row a clip, as columns."""
    order = [(0, number) for number in range(len(clips))]
    loader = DataLoader(clips, settings.batch_size, sampler=order, num_workers=settings.num_workers)
    objective.eval()
    device = objective.network.device
    parts: dict[str, list[Tensor]] = {}
    for batch in read_batches(tqdm(loader, desc="features", unit="batch", disable=None)):
        for name, column in flatten(batch, objective.compute_fixed_outputs(send_to_device(batch, device))).items():
            parts.setdefault(name, []).append(column.cpu())
    return {name: torch.cat(columns).contiguous() for name, columns in parts.items()}


def flatten(batch: dict[str, Any], fixed: dict[str, Tensor]) -> dict[str, Tensor]:
    """A batch with outputs in the place of its views, under names such as `fixed.pooler_output`."""
    outputs = {f"fixed.{name}": tensor for name, tensor in fixed.items()}
    targets = {f"targets.{name}": tensor for name, tensor in batch["targets"].items()}
    return {**outputs, **targets, "index": batch["index"], "data_set": batch["data_set"]}
