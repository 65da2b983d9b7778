"""Reads `.caffemodel` files without Caffe: the lists of layers of 2014, and those that came after."""

from collections import defaultdict
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from muybridge.conversion.errors import ConversionError
from muybridge.conversion.protobuf import ProtobufError, read_fields, read_varints

# Caffe's own numbers of the fields that matter, by the names that its messages have.
NET = {"layers of 2014": 2, "layers": 100}
LAYER = {"name": 1, "type": 2, "blobs": 7}
LAYER_OF_2014 = {"layer of 2013": 1, "name": 4, "type": 5, "blobs": 6}
BLOB = {"num": 1, "channels": 2, "height": 3, "width": 4, "data": 5, "shape": 7, "double_data": 8}
LEGACY_SHAPE = ("num", "channels", "height", "width")

CONVOLUTION, INNER_PRODUCT = "Convolution", "InnerProduct"
# The layers of 2014 had numbers for types.
TYPES_OF_2014 = {4: CONVOLUTION, 14: INNER_PRODUCT}
ROLES = ("weight", "bias")

# What a message says of one of its fields: integers, or bytes.
Values = dict[int, list[int | memoryview]]


class CaffeLayer(NamedTuple):
    name: str
    type: str
    blobs: list[memoryview]


def read_caffemodel(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, called `<layer>.weight` and `<layer>.bias`."""
    tensors: dict[str, Tensor] = {}
    try:
        for layer in read_layers(memoryview(path.read_bytes())):
            for name, tensor in read_tensors(layer):
                if name in tensors:
                    raise ConversionError(f"{path}: two layers are called {layer.name!r}")
                tensors[name] = tensor
    except ProtobufError as error:
        raise ConversionError(f"{path}: not a whole caffemodel ({error}); download or copy it again") from error
    except ConversionError as error:
        raise ConversionError(f"{path}: {error}") from error
    return tensors


def read_layers(net: memoryview) -> Iterator[CaffeLayer]:
    """The layers that have weights, of either of Caffe's two lists."""
    fields = collect_fields(net)
    for message in find_messages(fields, NET["layers of 2014"]):
        found = collect_fields(message)
        if LAYER_OF_2014["layer of 2013"] in found:
            raise ConversionError("was written by a Caffe of 2013; rewrite it with Caffe's upgrade_net_proto_binary")
        number = next(find_integers(found, LAYER_OF_2014["type"]), 0)
        yield from read_layer(found, LAYER_OF_2014, TYPES_OF_2014.get(number, f"layer of type {number}"))
    for message in find_messages(fields, NET["layers"]):
        found = collect_fields(message)
        yield from read_layer(found, LAYER, read_text(found, LAYER["type"]))


def read_layer(found: Values, numbers: dict[str, int], kind: str) -> Iterator[CaffeLayer]:
    blobs = list(find_messages(found, numbers["blobs"]))
    if blobs:
        yield CaffeLayer(read_text(found, numbers["name"]), kind, blobs)


def read_tensors(layer: CaffeLayer) -> Iterator[tuple[str, Tensor]]:
    if layer.type not in (CONVOLUTION, INNER_PRODUCT) or len(layer.blobs) > len(ROLES):
        raise ConversionError(
            f"layer {layer.name!r} is a {layer.type} with {len(layer.blobs)} blobs of weights; what can be read are "
            f"{CONVOLUTION} and {INNER_PRODUCT} with one or two"
        )
    for role, blob in zip(ROLES, layer.blobs, strict=False):
        num_axes = 1 if role == "bias" else {CONVOLUTION: 4, INNER_PRODUCT: 2}[layer.type]
        yield f"{layer.name}.{role}", read_blob(blob, num_axes, f"the {role} of layer {layer.name!r}")


def read_blob(blob: memoryview, num_axes: int, what: str) -> Tensor:
    """A tensor of so many axes. Old files give every shape four: those that are too many must have the length 1."""
    fields = collect_fields(blob)
    floats = np.frombuffer(b"".join(find_messages(fields, BLOB["data"])), dtype="<f4")
    doubles = np.frombuffer(b"".join(find_messages(fields, BLOB["double_data"])), dtype="<f8")
    values = doubles if len(doubles) else floats
    shape = read_shape(fields)
    if len(values) != prod(shape):
        raise ConversionError(f"{what} has {len(values)} values for the shape {shape}")
    surplus, kept = shape[: len(shape) - num_axes], shape[-num_axes:]
    if len(kept) < num_axes or prod(surplus) != 1:
        raise ConversionError(f"{what} has the shape {shape}, which is not one of {num_axes} axes")
    return torch.from_numpy(values.copy()).reshape(kept)


def read_shape(fields: Values) -> tuple[int, ...]:
    for shape in find_messages(fields, BLOB["shape"]):
        dimensions = collect_fields(shape).get(1, [])
        return tuple(
            size for value in dimensions for size in ([value] if isinstance(value, int) else read_varints(value))
        )
    return tuple(next(find_integers(fields, BLOB[name]), 0) for name in LEGACY_SHAPE)


def collect_fields(message: memoryview) -> Values:
    """A message's values by the numbers of their fields, each in the order of the file."""
    values: Values = defaultdict(list)
    for number, value in read_fields(message):
        values[number].append(value)
    return dict(values)


def find_messages(fields: Values, number: int) -> Iterator[memoryview]:
    for value in fields.get(number, []):
        if isinstance(value, int):
            raise ProtobufError(f"field {number} holds a number where bytes are due")
        yield value


def find_integers(fields: Values, number: int) -> Iterator[int]:
    for value in fields.get(number, []):
        if not isinstance(value, int):
            raise ProtobufError(f"field {number} holds bytes where a number is due")
        yield value


def read_text(fields: Values, number: int) -> str:
    found = b"".join(find_messages(fields, number))
    try:
        return found.decode()
    except UnicodeDecodeError as error:
        raise ProtobufError(f"field {number} is no text: {error}") from error
