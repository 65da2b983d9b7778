"""Reads files of foreign weights without executing anything in them."""

import json
import pickle
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from muybridge.conversion.caffemodel import read_caffemodel
from muybridge.conversion.errors import ConversionError
from muybridge.conversion.tensorflow import read_checkpoint

# Where training scripts put the tensors, and the names of the classes, inside the dictionary that they save.
STATE_DICT_KEYS = ("state_dict", "model_state_dict", "model_state", "model", "net")
LABEL_KEYS = ("id2label", "labels", "classes", "class_names", "categories", "class_to_idx")
# What wrappers of a module put before every name: DataParallel, torch.compile.
WRAPPER_PREFIXES = ("module.", "_orig_mod.")
# What torch.load raises for damaged files.
DAMAGE = (
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


@dataclass(frozen=True)
class Weights:
    """The tensors of a file, and the labels where the file names them.

    `fields` are the fields of our config that the file tells itself, where it describes its network.
    """

    state_dict: dict[str, Tensor]
    labels: list[str] | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


def read_weights(path: str | Path) -> Weights:
    """The tensors of a `.pth`, `.pt` or like file, or of one that `READERS` knows, and its labels where it has them."""
    path = Path(path)
    if not path.is_file():
        index = path.with_name(f"{path.name}.index")
        hint = f"; did you mean {index.name}?" if index.is_file() else ""
        raise ConversionError(
            f"{path}: " + ("this is a folder, not a file" if path.is_dir() else f"no such file{hint}")
        )
    if path.suffix.startswith(".data-"):
        raise ConversionError(
            f"{path}: a TensorFlow checkpoint is read by its other file, {path.stem}.index; name that"
        )
    if path.suffix in READERS:
        return READERS[path.suffix](path)
    return as_weights(path, read_torch(path))


def as_weights(path: Path, content: Mapping[str, Any]) -> Weights:
    """The tensors and labels somewhere in what a training script saved."""
    labels = next((as_labels(key, content[key]) for key in LABEL_KEYS if is_label_table(content.get(key))), None)
    nested = next((content[key] for key in STATE_DICT_KEYS if isinstance(content.get(key), Mapping)), content)
    tensors = {name: value for name, value in nested.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if not tensors:
        raise ConversionError(f"{path}: holds no tensors; its keys are {', '.join(map(str, list(content)[:10]))}")
    return Weights(unwrap(tensors), labels)


def is_label_table(value: Any) -> bool:
    """Whether a value under a name like `classes` means labels: often it is their number, or those of some clips."""
    return isinstance(value, Mapping | list | tuple)


def read_safetensors(path: Path) -> Weights:
    try:
        with safe_open(path, framework="pt") as file:
            content: dict[str, Any] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dictionary
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise ConversionError(f"{path}: not a whole safetensors file ({error})") from error
    try:
        labels = {key: json.loads(metadata[key]) for key in LABEL_KEYS if key in metadata}
    except json.JSONDecodeError as error:
        raise ConversionError(f"{path}: the labels in its metadata are not JSON ({error})") from error
    return as_weights(path, content | labels)


def read_caffe(path: Path) -> Weights:
    return as_weights(path, read_caffemodel(path))


def read_tensorflow(path: Path) -> Weights:
    return as_weights(path, read_checkpoint(path))


def read_torch(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ConversionError(
            f"{path}: holds more than tensors and plain values, and to read that would run code from the file. "
            "Open it where you trust it, and save its state_dict alone"
        ) from error
    except DAMAGE as error:
        raise ConversionError(f"{path}: not a whole PyTorch file; download or copy it again") from error
    if not isinstance(content, Mapping):
        raise ConversionError(f"{path}: holds a {type(content).__name__}, not a dictionary of tensors")
    return dict(content)


def unwrap(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without the prefixes that wrappers of the module left on every name."""
    tensors = dict(state_dict)
    for prefix in WRAPPER_PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            return unwrap({name.removeprefix(prefix): tensor for name, tensor in tensors.items()})
    return tensors


def as_labels(key: str, value: Any) -> list[str]:
    """Names in index order, from a list, an index → name table or a name → index table."""
    if isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(name, str) for name in value):
        return list(value)
    if isinstance(value, Mapping) and all(isinstance(index, int) for index in value.values()):
        return [str(name) for name, _ in sorted(value.items(), key=lambda item: item[1])]
    if isinstance(value, Mapping) and all(str(index).isdigit() for index in value):
        return [str(name) for _, name in sorted(value.items(), key=lambda item: int(item[0]))]
    raise ConversionError(
        f"{key!r} in the file is not a list of names, nor a table of names and numbers; pass --labels"
    )


def read_keras(path: Path) -> Weights:
    from muybridge.conversion.keras import read_keras as read  # which needs the networks, and this module

    return read(path)


# What reads files of other formats, by the end of their name.
READERS: dict[str, Callable[[Path], Weights]] = {
    ".caffemodel": read_caffe,
    ".h5": read_keras,
    ".hdf5": read_keras,
    ".index": read_tensorflow,
    ".keras": read_keras,
    ".safetensors": read_safetensors,
}
