"""Reads files of foreign weights without executing anything in them: each format by its own reader."""

from collections.abc import Callable
from pathlib import Path

from muybridge.conversion.caffemodel import read_caffemodel
from muybridge.conversion.errors import ConversionError
from muybridge.conversion.keras import read_keras
from muybridge.conversion.pytorch_files import read_safetensors, read_torch
from muybridge.conversion.tensorflow import read_checkpoint
from muybridge.conversion.weights import Weights, find_weights


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
    return READERS.get(path.suffix, read_torch)(path)


def read_caffe(path: Path) -> Weights:
    return find_weights(path, read_caffemodel(path))


def read_tensorflow(path: Path) -> Weights:
    return find_weights(path, read_checkpoint(path))


# What reads files of other formats than PyTorch's, by the end of their name.
READERS: dict[str, Callable[[Path], Weights]] = {
    ".caffemodel": read_caffe,
    ".h5": read_keras,
    ".hdf5": read_keras,
    ".index": read_tensorflow,
    ".keras": read_keras,
    ".safetensors": read_safetensors,
}
