"""The tensors and the labels that a file of foreign weights holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from muybridge.conversion.errors import ConversionError

# Where training scripts put the tensors, and the names of the classes, inside the dictionary that they save.
STATE_DICT_KEYS = ("state_dict", "model_state_dict", "model_state", "model", "net")
LABEL_KEYS = ("id2label", "labels", "classes", "class_names", "categories", "class_to_idx")
# What wrappers of a module put before every name: DataParallel, torch.compile.
WRAPPER_PREFIXES = ("module.", "_orig_mod.")


@dataclass(frozen=True)
class Weights:
    """The tensors of a file, and the labels where the file names them.

    `fields` are the fields of our config that the file states itself, where it describes its network.
    """

    state_dict: dict[str, Tensor]
    labels: list[str] | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


def find_weights(path: Path, content: Mapping[str, Any]) -> Weights:
    """The tensors and labels somewhere in what a training script saved."""
    labels = next((parse_labels(key, content[key]) for key in LABEL_KEYS if is_label_table(content.get(key))), None)
    nested = next((content[key] for key in STATE_DICT_KEYS if isinstance(content.get(key), Mapping)), content)
    tensors = {name: value for name, value in nested.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if not tensors:
        raise ConversionError(f"{path}: holds no tensors; its keys are {', '.join(map(str, list(content)[:10]))}")
    return Weights(strip_wrapper_prefixes(tensors), labels)


def is_label_table(value: Any) -> bool:
    """Whether a value under a name like `classes` means labels: often it is their number, or those of some clips."""
    return isinstance(value, Mapping | list | tuple)


def parse_labels(key: str, value: Any) -> list[str]:
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


def strip_wrapper_prefixes(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without the prefixes that wrappers of the module left on every name."""
    tensors = dict(state_dict)
    for prefix in WRAPPER_PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            return strip_wrapper_prefixes({name.removeprefix(prefix): tensor for name, tensor in tensors.items()})
    return tensors
