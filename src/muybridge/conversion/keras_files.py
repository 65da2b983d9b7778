"""Reads networks that Keras saved, `.keras` and `.h5`, without Keras: what layers they have, and their arrays.

A `.keras` file is a zip: config.json describes the network, model.weights.h5 has the arrays, under the class of each
layer in snake case, counted where there are several. An `.h5` file has the description as an attribute, and the arrays
in a group for each layer, those that are trained before those that are not.
"""

import io
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muybridge.conversion.errors import ConversionError
from muybridge.extras import extra

Array = NDArray[np.float32]
Entry = Mapping[str, Any]  # of a layer: its class_name and its config

NETWORKS = ("Sequential", "Functional", "Model")
RECURRENT = ("LSTM", "GRU")
# What comes of damaged bytes, and of descriptions in which something else stands than what Keras writes there.
DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)
# Weights hardly compress. What would fill the memory from a small file was made for that, or is damaged.
MAX_PACKING = 100
ALWAYS_ALLOWED_BYTES = 2**24


@dataclass(frozen=True)
class KerasLayer:
    """A layer that contains no other; `groups` are where its arrays lie in a `.keras` file."""

    class_name: str
    config: Mapping[str, Any]
    is_distributed: bool  # over frames
    top: str  # the name of the layer of the network that it belongs to, itself or what contains it
    groups: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.class_name} {self.config.get('name', self.top)}"


@dataclass(frozen=True)
class KerasNetwork:
    layers: list[KerasLayer]
    arrays: list[list[Array]]  # of each layer, in Keras's order
    input_shape: tuple[int | None, ...]  # without the batch
    version: str


Check = Callable[[list[KerasLayer], str], None]


def read_network(path: Path, check: Check) -> KerasNetwork:
    """The network in a file; `check` sees its layers, and the version of Keras, before the arrays are read."""
    with extra("convert"):
        import h5py
    try:
        if zipfile.is_zipfile(path):
            return read_zip(path, check)
        with h5py.File(path) as file:
            return read_hdf5(file, path, check)
    except ConversionError:
        raise
    except DAMAGE as error:
        raise ConversionError(f"{path}: not a whole file of Keras ({error}); download or copy it again") from error


def read_zip(path: Path, check: Check) -> KerasNetwork:
    with extra("convert"):
        import h5py

    with zipfile.ZipFile(path) as archive:
        description = json.loads(read_member(archive, "config.json", path))
        version = str(json.loads(read_member(archive, "metadata.json", path)).get("keras_version", ""))
        weights = io.BytesIO(read_member(archive, "model.weights.h5", path))
    entries = chain_layers(description, path)
    check(list(flatten_layers(entries, path, are_counted=True)), version)
    with h5py.File(weights) as file:
        # Keras has named groups after the layers' classes, and in some versions after the layers.
        for are_counted in (True, False):
            layers = list(flatten_layers(entries, path, are_counted))
            if all(group in file for layer in layers for group in layer.groups if has_arrays(layer)):
                arrays = [read_variables(file, layer, path) for layer in layers]
                return KerasNetwork(layers, arrays, find_input_shape(description, path), version)
    missing = next(group for layer in layers for group in layer.groups if has_arrays(layer) and group not in file)
    raise ConversionError(f"{path}: its model.weights.h5 has no {missing}; the file is not whole")


def read_member(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    member = archive.getinfo(name)
    check_size(member.file_size, member.compress_size, name, path)
    return archive.read(member)


def read_hdf5(file: Any, path: Path, check: Check) -> KerasNetwork:
    if "model_config" not in file.attrs:
        raise ConversionError(
            f"{path}: holds weights alone, and no description of the network; save it with model.save, not save_weights"
        )
    description = json.loads(to_text(file.attrs["model_config"]))
    layers = list(flatten_layers(chain_layers(description, path), path, are_counted=True))
    version = to_text(file.attrs.get("keras_version", ""))
    check(layers, version)
    groups = file["model_weights"]
    arrays: dict[int, list[Array]] = {}
    for top in dict.fromkeys(layer.top for layer in layers):
        members = [layer for layer in layers if layer.top == top]
        group = groups[top]
        names = read_names(group, "weight_names")
        check_number(names, sum(sum(count_arrays(layer)) for layer in members), top, path)
        given = [read_array(file, group, name, path) for name in names]
        arrays |= {id(layer): own for layer, own in zip(members, share_arrays(given, members), strict=True)}
    return KerasNetwork(layers, [arrays[id(layer)] for layer in layers], find_input_shape(description, path), version)


# The description


def chain_layers(entry: Entry, path: Path) -> list[Entry]:
    """The layers of a network in which each takes what the one before gives."""
    if entry["class_name"] not in NETWORKS:
        raise ConversionError(
            f"{path}: holds a {entry['class_name']}; what converts is a Sequential or functional model"
        )
    config = entry["config"]
    entries = config if isinstance(config, list) else config["layers"]  # a list in Keras 1 and 2.0
    before = None
    for layer in entries:
        name = get_name(layer)
        if layer.get("inbound_nodes"):
            inputs = list_inputs(layer["inbound_nodes"])
            if inputs != [before]:
                raise ConversionError(
                    f"{path}: {layer['class_name']} {name} takes {', '.join(inputs)}; what converts is a chain, in "
                    "which each layer takes what the one before gives, and is used once"
                )
        before = name
    outputs = list_inputs(config["output_layers"]) if "output_layers" in config else []
    if outputs not in ([], [before]):
        raise ConversionError(
            f"{path}: its outputs are those of {', '.join(outputs)}; what converts has one output, of its last layer"
        )
    return [layer for layer in entries if layer["class_name"] != "InputLayer"]


def get_name(entry: Entry) -> str:
    return entry["config"].get("name") or entry.get("name", "")


def list_inputs(node: Any) -> list[str]:
    """The names of the layers that a layer is applied to, of either way in which Keras writes that down."""
    if isinstance(node, Mapping):
        if "keras_history" in node:
            return [node["keras_history"][0]]
        return [name for value in node.values() for name in list_inputs(value)]
    if isinstance(node, list | tuple):
        if len(node) >= 3 and isinstance(node[0], str) and isinstance(node[1], int):
            return [node[0]]
        return [name for value in node for name in list_inputs(value)]
    return []


def find_input_shape(description: Entry, path: Path) -> tuple[int | None, ...]:
    config = description["config"]
    entries = config if isinstance(config, list) else config["layers"]
    places = [entries[0]["config"], entries[0].get("build_config", {}), {} if isinstance(config, list) else config]
    for place in places:
        for name in ("batch_shape", "batch_input_shape", "input_shape", "build_input_shape"):
            if place.get(name):
                return tuple(place[name][1:])
    raise ConversionError(f"{path}: does not say what shape its network's input has")


def flatten_layers(
    entries: Sequence[Entry],
    path: Path,
    are_counted: bool,
    inside: str = "",
    top: str | None = None,
    frames: bool = False,
) -> Iterator[KerasLayer]:
    """The layers in order, networks within the network taken apart."""
    counts: dict[str, int] = {}
    for entry in entries:
        key = to_snake_case(entry["class_name"]) if are_counted else get_name(entry)
        counts[key] = counts.get(key, 0) + 1
        group = f"{inside}layers/{key}" + (f"_{counts[key] - 1}" if are_counted and counts[key] > 1 else "")
        layer, is_distributed = entry, frames
        while layer["class_name"] == "TimeDistributed":
            layer, group, is_distributed = layer["config"]["layer"], f"{group}/layer", True
        owner = top or get_name(entry)
        if layer["class_name"] in NETWORKS:
            yield from flatten_layers(chain_layers(layer, path), path, are_counted, f"{group}/", owner, is_distributed)
        else:
            groups = tuple(f"{group}/{part}" for part in list_groups(layer))
            yield KerasLayer(layer["class_name"], layer["config"], is_distributed, owner, groups)


def to_snake_case(name: str) -> str:
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def list_groups(entry: Entry) -> tuple[str, ...]:
    """The groups within a layer's that hold its arrays."""
    if entry["class_name"] == "Bidirectional":
        return "forward_layer/cell/vars", "backward_layer/cell/vars"
    return ("cell/vars",) if entry["class_name"] in RECURRENT else ("vars",)


# The arrays


def count_arrays(layer: KerasLayer) -> tuple[int, int]:
    """How many arrays a layer has that training changes, and others."""
    name, config = layer.class_name, layer.config
    if name == "Bidirectional":
        return 2 * (2 + config["layer"]["config"].get("use_bias", True)), 0
    if name in ("LSTM", "GRU", "SeparableConv2D"):
        return 2 + config.get("use_bias", True), 0
    if name in ("Conv2D", "Convolution2D", "DepthwiseConv2D", "Dense"):
        return 1 + config.get("use_bias", True), 0
    if name == "BatchNormalization":
        return config.get("scale", True) + config.get("center", True), 2
    return 0, 0


def has_arrays(layer: KerasLayer) -> bool:
    return count_arrays(layer) != (0, 0)


def read_variables(file: Any, layer: KerasLayer, path: Path) -> list[Array]:
    """The arrays of a layer in a `.keras` file."""
    groups = [file.get(group, {}) for group in layer.groups]
    places = [(group, name) for group in groups for name in sorted(group, key=int)]
    check_number(places, sum(count_arrays(layer)), layer.name, path)
    return [read_array(file, group, name, path) for group, name in places]


def read_array(file: Any, group: Any, name: str, path: Path) -> Array:
    """An array that lies in the file itself: HDF5 can also point at other files of whoever reads it."""
    found = group[name]
    if found.file != file or found.is_virtual or found.external:
        raise ConversionError(f"{path}: {name} lies in another file, which is not read; save the model in one")
    if found.dtype.kind != "f":
        raise ConversionError(f"{path}: {name} is of type {found.dtype}; what converts are floating-point numbers")
    check_size(found.size * found.dtype.itemsize, found.id.get_storage_size(), name, path)
    return np.asarray(found, dtype=np.float32)


def check_size(num_bytes: int, num_stored: int, name: str, path: Path) -> None:
    if num_bytes > max(ALWAYS_ALLOWED_BYTES, MAX_PACKING * num_stored):
        raise ConversionError(
            f"{path}: {name} is to have {num_bytes} bytes, of which {num_stored} are there; the file is damaged, or "
            "made to fill the memory"
        )


def check_number(names: Sequence[Any], expected: int, owner: str, path: Path) -> None:
    if len(names) != expected:
        raise ConversionError(f"{path}: {owner} has {len(names)} arrays, not {expected}; the file is not whole")


def share_arrays(arrays: list[Array], layers: Sequence[KerasLayer]) -> list[list[Array]]:
    """The arrays of each layer of an `.h5` file's group: first what is trained of all of them, then the rest."""
    counts = [count_arrays(layer) for layer in layers]
    remaining = iter(arrays)
    are_trained = [layer.config.get("trainable", True) for layer in layers]
    shares = [
        [next(remaining) for _ in range(trained)] if is_trained else []
        for (trained, _), is_trained in zip(counts, are_trained, strict=True)
    ]
    for own, (trained, fixed), is_trained in zip(shares, counts, are_trained, strict=True):
        own += [next(remaining) for _ in range(fixed if is_trained else trained + fixed)]
    return shares


def read_names(group: Any, attribute: str) -> list[str]:
    """A list of names, which Keras writes in pieces where it is long."""
    attributes = group.attrs
    if attribute in attributes:
        pieces = [attributes[attribute]]
    else:
        pieces = [
            attributes[f"{attribute}{index}"] for index in range(len(attributes)) if f"{attribute}{index}" in attributes
        ]
    return [to_text(name) for piece in pieces for name in piece]


def to_text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
