"""Reads what PyTorch and safetensors write, without executing anything in it."""

import json
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from muybridge.conversion.errors import ConversionError
from muybridge.conversion.weights import LABEL_KEYS, Weights, find_weights

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


def read_torch(path: Path) -> Weights:
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
    return find_weights(path, content)


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
    return find_weights(path, content | labels)
