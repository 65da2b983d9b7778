"""What numbers depend on beside the protocol: which model it was, and which versions of what read and ran."""

import hashlib
import importlib.metadata
from pathlib import Path
from typing import Any

import av
from transformers import PreTrainedModel

LIBRARIES = ("muybridge", "torch", "transformers", "numpy")


def describe_model(model: PreTrainedModel) -> dict[str, Any]:
    """Its name, its revision as `model_revision` has it, its architecture and the type of its weights."""
    config = model.config
    return {
        "model": config.name_or_path or None,
        "revision": model_revision(model),
        "architecture": config.model_type,
        "dtype": str(model.dtype).removeprefix("torch."),
    }


def model_revision(model: PreTrainedModel) -> str | None:
    """The commit of a model from the Hub, the sha256 of the weights in a folder, None for one that was never saved."""
    commit = getattr(model.config, "_commit_hash", None)
    if commit:
        return commit
    folder = Path(model.config.name_or_path or "\0")  # which is the name of no folder
    files = sorted(folder.glob("*.safetensors"))
    return "+".join(sha256(file) for file in files) or None


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions() -> dict[str, Any]:
    """The decoder's versions, which decide over pixels, and the libraries'."""
    parts = {name: ".".join(map(str, version)) for name, version in av.library_versions.items()}
    libraries = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return {"decoder": {"PyAV": av.__version__, **parts}, "libraries": libraries}
