"""Makes tiny models, and puts them into a hub without a client."""

from pathlib import Path

import torch

from muybridge.models import ARCHITECTURES
from muybridge_hub.access import SYSTEM
from muybridge_hub.git import hash_file
from muybridge_hub.hub import Hub
from muybridge_hub.names import parse_repo_name
from muybridge_hub.repositories import Add

LABELS = ["walk", "run", "jump", "wave", "clap", "turn"]


def save_tiny_model(folder: Path, *, seed: int = 0, has_processor: bool = True, is_classifier: bool = True) -> Path:
    """Saves a small network with random weights and clearly different scores."""
    architecture = ARCHITECTURES["video_resnet"]
    torch.manual_seed(seed)
    model = architecture.task_model(architecture.tiny_config(num_labels=len(LABELS), id2label=dict(enumerate(LABELS))))
    model.get_head().classifier.weight.data.mul_(50)  # or all scores are alike
    (model if is_classifier else model.base_model).save_pretrained(folder)
    if has_processor:
        sizes = {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}
        architecture.processor(**sizes, sampling="uniform", num_frames=4, fps=None).save_pretrained(folder)
    return folder


def put_into_hub(hub: Hub, name: str, folder: Path, *, private: bool = False) -> str:
    """Makes a repository with the files of a folder. Returns the oid of the commit."""
    model = parse_repo_name("model", name)
    hub.repositories.create(SYSTEM, model, private=private)
    with hub.database.read() as connection:
        repository = hub.repositories.find(connection, SYSTEM, model).id
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    blobs = hub.blob_store.add_all(repository, list(files.values()))
    additions = [
        Add(name, blob.sha256, blob.size, hash_file(data))
        for (name, data), blob in zip(files.items(), blobs, strict=True)
    ]
    return hub.repositories.commit(SYSTEM, model, additions, title="Add a model").oid
