"""The features of a frozen trunk, computed once and kept on disk, so that its classifier trains in seconds."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from muybridge.files import replace_file
from muybridge.models.video_base import VideoForClassification
from muybridge.processing import VideoProcessor
from muybridge.training.clips import VIEW, CachedFeatures, TaskClips
from muybridge.training.errors import readable
from muybridge.training.settings import TrainingSettings

KEY = "made_from"


def cached_features(
    settings: TrainingSettings, clips: TaskClips, model: VideoForClassification, processor: VideoProcessor
) -> CachedFeatures:
    """The clips as features, read from the run's folder where the same trunk made them of the same clips."""
    path = Path(settings.output) / "features.safetensors"
    key = fingerprint(settings, model, processor)
    columns = read_columns(path, key)
    if columns is None:
        columns = compute_columns(settings, clips, model)
        with replace_file(path) as partial:
            save_file(columns, partial, {KEY: key})
    return CachedFeatures(clips, columns)


def fingerprint(settings: TrainingSettings, model: VideoForClassification, processor: VideoProcessor) -> str:
    """What the features depend on: the data, the processor, and every bit of the trunk."""
    digest = hashlib.sha256(json.dumps([settings.data, settings.split, processor.to_dict()], default=str).encode())
    for name, tensor in sorted(model.base_model.state_dict().items()):
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
def compute_columns(settings: TrainingSettings, clips: TaskClips, model: VideoForClassification) -> dict[str, Tensor]:
    """The features (N, D) of every clip, with its label, index and task."""
    loader = DataLoader(clips, settings.batch_size, num_workers=settings.num_workers)
    model.eval()
    parts: dict[str, list[Tensor]] = {}
    for batch in readable(tqdm(loader, desc="features", unit="batch", disable=None)):
        inputs = {name: value.to(model.device) for name, value in batch["views"][VIEW].items()}
        row = {
            "features": model.base_model(**inputs, return_dict=True).pooler_output.float().cpu(),
            "label": batch["targets"]["label"],
            "index": batch["index"],
            "task": batch["task"],
        }
        for name, column in row.items():
            parts.setdefault(name, []).append(column)
    return {name: torch.cat(columns) for name, columns in parts.items()}
