"""LRCNs that people train with Keras: image layers over frames, LSTM or GRU layers, Dense layers.

The files name neither their classes nor how the frames were chosen. Most have it from one tutorial: 20 frames, every
(n // 20)-th from the first on, squeezed to a square by OpenCV, divided by 255, in blue-green-red order.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn

from muybridge.conversion.errors import ConversionError
from muybridge.conversion.keras_files import DAMAGE, RECURRENT, Array, KerasLayer, KerasNetwork, read_network
from muybridge.conversion.sources import Source
from muybridge.conversion.weights import Weights
from muybridge.models.base import NetworkConfig
from muybridge.models.lrcn import LRCNConfig, LRCNForVideoClassification
from muybridge.models.lrcn.recurrence import RecurrentCell
from muybridge.models.simple_cnn.layers import Layer, Shape, compute_shape

Arrays = Mapping[str, Array]
# Makes the tensors of one of our modules, under their names in it, from the arrays of a layer of Keras.
Taker = Callable[[list[Array]], Arrays]
Order = Shape | None

MAX_INPUT_VALUES = 2**30  # of one clip
CLASSIFIER = "head.classifier"  # our name of the last Dense layer

# What Keras calls the activations that we have.
ACTIVATIONS: dict[str, dict[str, Any]] = {
    **{
        name: {"function": name}
        for name in ("elu", "gelu", "relu", "relu6", "selu", "sigmoid", "silu", "softplus", "softsign", "tanh")
    },
    "leaky_relu": {"function": "leaky_relu", "slope": 0.2},
    "swish": {"function": "silu"},
}  # fmt: skip


class UnsupportedError(Exception):
    """Why a layer cannot be converted; empty where LRCN simply has none like it."""


@dataclass(frozen=True)
class Part:
    """One of our layers, and how its tensors come from Keras's arrays where it has some."""

    layer: Layer
    take: Callable[[list[Array], Order], Arrays] | None = None


# Image layers and Dense ones


def convolution(config: Mapping[str, Any]) -> list[Part]:
    layer = convolution_layer(config, config["filters"], config.get("groups", 1), config.get("use_bias", True))
    return [Part(layer, lambda arrays, _: with_bias(transpose_kernel(arrays[0]), arrays[1:])), *activation(config)]


def depthwise(config: Mapping[str, Any]) -> list[Part]:
    return [depthwise_part(config, has_bias=config.get("use_bias", True)), *activation(config)]


def separable(config: Mapping[str, Any]) -> list[Part]:
    pointwise = {
        "kind": "convolution",
        "channels": config["filters"],
        "kernel_size": 1,
        "bias": config.get("use_bias", True),
    }
    return [
        depthwise_part(config, has_bias=False),
        Part(pointwise, lambda arrays, _: with_bias(transpose_kernel(arrays[1]), arrays[2:])),
        *activation(config),
    ]


def depthwise_part(config: Mapping[str, Any], *, has_bias: bool) -> Part:
    """Filters for each channel by itself; how many channels there are is only known where it stands."""
    multiplier = config.get("depth_multiplier", 1)
    layer = convolution_layer(config, -multiplier, 0, has_bias)
    return Part(
        layer, lambda arrays, _: with_bias(transpose_depthwise_kernel(arrays[0]), arrays[1:] if has_bias else [])
    )


def convolution_layer(config: Mapping[str, Any], channels: int, groups: int, has_bias: bool) -> dict[str, Any]:
    return {
        "kind": "convolution",
        "channels": channels,
        "kernel_size": list(config["kernel_size"]),
        "stride": list(config.get("strides", (1, 1))),
        "dilation": list(config.get("dilation_rate", (1, 1))),
        "groups": groups,
        "padding": read_padding(config),
        "bias": has_bias,
    }


def transpose_kernel(array: Array) -> Array:
    """(height, width, in, out) → (out, in, height, width)."""
    return array.transpose(3, 2, 0, 1)


def transpose_depthwise_kernel(array: Array) -> Array:
    """(height, width, channels, multiplier) → (channels·multiplier, 1, height, width)."""
    height, width = array.shape[:2]
    return array.transpose(2, 3, 0, 1).reshape(-1, 1, height, width)


def with_bias(weight: Array, rest: Sequence[Array]) -> Arrays:
    return {"weight": weight, **({"bias": rest[0]} if rest else {})}


def read_padding(config: Mapping[str, Any]) -> str:
    if config.get("data_format", "channels_last") != "channels_last":
        raise UnsupportedError("its channels come first")
    padding = config.get("padding", config.get("border_mode", "valid"))
    if padding not in ("valid", "same"):
        raise UnsupportedError(f"padding {padding!r}")
    return padding


def pooling(kind: str) -> Callable[[Mapping[str, Any]], list[Part]]:
    def understand(config: Mapping[str, Any]) -> list[Part]:
        size = list(config["pool_size"])
        stride = list(config.get("strides") or size)
        return [Part({"kind": kind, "kernel_size": size, "stride": stride, "padding": read_padding(config)})]

    return understand


def global_pooling(kind: str) -> Callable[[Mapping[str, Any]], list[Part]]:
    def understand(config: Mapping[str, Any]) -> list[Part]:
        read_padding(config)
        if config.get("keepdims"):
            raise UnsupportedError("keepdims")
        return [Part({"kind": kind})]

    return understand


def averaging(config: Mapping[str, Any]) -> list[Part]:
    """Over frames: `Arrangement.average` says where that can be."""
    read_padding(config)
    if config.get("keepdims"):
        raise UnsupportedError("keepdims")
    return []


def flattening(config: Mapping[str, Any]) -> list[Part]:
    read_padding(config)
    return [Part({"kind": "flatten"})]


def dense(config: Mapping[str, Any]) -> list[Part]:
    has_bias = config.get("use_bias", True)
    layer = {"kind": "linear", "features": config["units"], "bias": has_bias}
    return [
        Part(layer, lambda arrays, order: with_bias(reorder_rows(arrays[0], order).T, arrays[1:])),
        *activation(config),
    ]


def reorder_rows(array: Array, order: Order) -> Array:
    """Rows for features in Keras's order (H, W, C), as rows in ours: those of a flattened map (C, H, W)."""
    if order is None:
        return array
    channels, height, width = order
    return np.moveaxis(array.reshape(height, width, channels, -1), 2, 0).reshape(array.shape)


def batch_norm(config: Mapping[str, Any]) -> list[Part]:
    layer = {"kind": "batch_norm", "eps": config.get("epsilon", 1e-3), "momentum": 1 - config.get("momentum", 0.99)}

    def take(arrays: list[Array], order: Order) -> Arrays:
        rest = list(arrays)
        size = len(rest[-1])
        weight = rest.pop(0) if config.get("scale", True) else np.ones(size, np.float32)
        bias = rest.pop(0) if config.get("center", True) else np.zeros(size, np.float32)
        named = {"weight": weight, "bias": bias, "running_mean": rest[0], "running_var": rest[1]}
        return {name: reorder_rows(array, order) for name, array in named.items()}

    return [Part(layer, take)]


def activation(config: Mapping[str, Any]) -> list[Part]:
    name = config.get("activation") or "linear"
    name = name.get("config", name) if isinstance(name, Mapping) else name
    if isinstance(name, Mapping):
        raise UnsupportedError("a layer as its activation; let it stand after the layer")
    if name == "linear":
        return []
    if name == "softmax":
        return [SOFTMAX]
    if name not in ACTIVATIONS:
        raise UnsupportedError(f"activation {name}")
    return [Part({"kind": "activation", **ACTIVATIONS[name]})]


# Not one of our layers: it ends the network, and our classifiers leave it to whoever reads their logits.
SOFTMAX = Part({"kind": "softmax"})


def relu(config: Mapping[str, Any]) -> list[Part]:
    if config.get("threshold"):
        raise UnsupportedError("threshold")
    slope, largest = config.get("negative_slope") or 0.0, config.get("max_value")
    if largest not in (None, 6) or (slope and largest):
        raise UnsupportedError(f"max_value {largest}")
    if slope:
        return [Part({"kind": "activation", "function": "leaky_relu", "slope": slope})]
    return [Part({"kind": "activation", "function": "relu6" if largest else "relu"})]


def leaky_relu(config: Mapping[str, Any]) -> list[Part]:
    slope = config.get("negative_slope", config.get("alpha", 0.3))
    return [Part({"kind": "activation", "function": "leaky_relu", "slope": float(slope)})]


def elu(config: Mapping[str, Any]) -> list[Part]:
    if config.get("alpha", 1.0) != 1.0:
        raise UnsupportedError(f"alpha {config['alpha']}")
    return [Part({"kind": "activation", "function": "elu"})]


def dropout(config: Mapping[str, Any]) -> list[Part]:
    return [Part({"kind": "dropout", "rate": config.get("rate", config.get("p", 0.5))})]


UNDERSTOOD: dict[str, Callable[[Mapping[str, Any]], list[Part]]] = {
    "Activation": activation,
    "AveragePooling2D": pooling("average_pooling"),
    "BatchNormalization": batch_norm,
    "Conv2D": convolution,
    "Convolution2D": convolution,
    "Dense": dense,
    "DepthwiseConv2D": depthwise,
    "Dropout": dropout,
    "ELU": elu,
    "Flatten": flattening,
    "GlobalAveragePooling1D": averaging,
    "GlobalAveragePooling2D": global_pooling("global_average_pooling"),
    "GlobalMaxPooling2D": global_pooling("global_max_pooling"),
    "LeakyReLU": leaky_relu,
    "MaxPooling2D": pooling("max_pooling"),
    "ReLU": relu,
    "SeparableConv2D": separable,
    "Softmax": lambda _config: [SOFTMAX],
    "SpatialDropout1D": dropout,
    "SpatialDropout2D": dropout,
}
# What means the same over frames whether or not TimeDistributed is around it.
FRAME_BY_FRAME = (
    "Activation",
    "BatchNormalization",
    "Dense",
    "Dropout",
    "ELU",
    "LeakyReLU",
    "ReLU",
    "Softmax",
    "SpatialDropout1D",
)


# Recurrent layers


OF_BOTH_DIRECTIONS = ("units", "activation", "recurrent_activation", "use_bias", "reset_after")


def get_recurrent_config(layer: KerasLayer) -> Mapping[str, Any]:
    return layer.config["layer"]["config"] if layer.class_name == "Bidirectional" else layer.config


def make_recurrent_fields(layer: KerasLayer, version: str) -> dict[str, Any]:
    """The fields of LRCN that this layer asks for."""
    is_bidirectional = layer.class_name == "Bidirectional"
    class_name = layer.config["layer"]["class_name"] if is_bidirectional else layer.class_name
    config = get_recurrent_config(layer)
    if class_name not in RECURRENT:
        raise UnsupportedError(f"of {class_name}")
    if is_bidirectional and layer.config.get("merge_mode", "concat") != "concat":
        raise UnsupportedError(f"merge_mode {layer.config['merge_mode']}")
    backward = layer.config.get("backward_layer", {}).get("config", config) if is_bidirectional else config
    different = [name for name in OF_BOTH_DIRECTIONS if backward.get(name) != config.get(name)]
    if different:
        raise UnsupportedError(f"a backward_layer of another {', '.join(different)}")
    for name in ("go_backwards", "return_state", "time_major"):
        if config.get(name):
            raise UnsupportedError(name)
    gate, state = config.get("recurrent_activation", "hard_sigmoid"), config.get("activation", "tanh")
    is_new = version.split(".")[0].isdigit() and int(version.split(".")[0]) >= 3
    if gate not in ("sigmoid", "hard_sigmoid") or (gate == "hard_sigmoid" and is_new):
        raise UnsupportedError(f"recurrent_activation {gate}")
    if state not in ("tanh", "relu"):
        raise UnsupportedError(f"activation {state}")
    return {
        "rnn_type": class_name.lower(),
        "bidirectional": is_bidirectional,
        "gate_activation": gate,
        "state_activation": state,
        # Before Keras 2.1.5 there was no choice.
        "is_reset_after": bool(config.get("reset_after", False)) if class_name == "GRU" else True,
    }


def make_recurrent_takers(layer: KerasLayer, order: Order) -> list[Taker]:
    """One for each direction."""
    fields = make_recurrent_fields(layer, "")
    size = 2 + get_recurrent_config(layer).get("use_bias", True)

    def taker(start: int) -> Taker:
        return lambda arrays: make_cell_arrays(arrays[start : start + size], order, fields)

    return [taker(0), taker(size)] if fields["bidirectional"] else [taker(0)]


def make_cell_arrays(arrays: list[Array], order: Order, fields: Mapping[str, Any]) -> Arrays:
    """The tensors of a cell, from the kernel (D, G·H), the one of the state (H, G·H) and the bias, if there is one."""
    kernel, of_state = reorder_rows(arrays[0], order).T, arrays[1].T
    num_rows = len(kernel)
    bias = arrays[2] if len(arrays) > 2 else np.zeros(num_rows, np.float32)
    if fields["rnn_type"] == "lstm":
        return {"weight_input": kernel, "weight_state": of_state, "bias_input": bias}
    # Keras has the update gate first, then the reset gate; with reset_after, one bias for the input and one for the
    # state, of which all but that of the new state can be added up.
    size = num_rows // 3
    both = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    update, reset, new = (slice(start, start + size) for start in range(0, num_rows, size))
    summed = both.sum(axis=0)
    biases = {"bias_input": np.concatenate([summed[reset], summed[update], both[0, new]])}
    if fields["is_reset_after"]:
        biases["bias_state"] = both[1, new]
    rows = np.r_[reset, update, new]
    return {"weight_input": kernel[rows], "weight_state": of_state[rows], **biases}


# Networks


@dataclass
class Arrangement:
    """What has been made of a network so far, layer by layer."""

    path: Path
    shape: Shape  # of a frame
    encoder: list[Layer] = field(default_factory=list)
    readout_layers: list[Layer] = field(default_factory=list)
    recurrent: list[dict[str, Any]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    rnn_dropout: float = 0.0
    takers: list[tuple[int, Taker]] = field(default_factory=list)  # with the number of the layer whose arrays they take
    order: Order = None  # the shape of the map whose features these are, between a Flatten and what takes them
    gives_sequence: bool = False  # a state for each frame
    is_scored: bool = False  # nothing but a mean over frames may follow
    is_averaged: bool = False

    def refuse(self, layer: KerasLayer, reason: str) -> ConversionError:
        return ConversionError(f"{self.path}: {layer.name} cannot be converted where it stands: {reason}")

    def add_recurrent(self, number: int, layer: KerasLayer, fields: dict[str, Any]) -> None:
        if (self.recurrent and not self.gives_sequence) or self.readout_layers or self.is_scored:
            raise self.refuse(layer, "LRCN's recurrent layers follow each other")
        if self.recurrent and fields != self.recurrent[0]:
            raise self.refuse(layer, f"LRCN's recurrent layers are all alike, and the first is {self.recurrent[0]}")
        if len(self.shape) != 1:
            raise self.refuse(layer, "what comes before does not make a vector of each frame")
        self.takers += [(number, taker) for taker in make_recurrent_takers(layer, self.order)]
        self.order = None
        self.recurrent.append(fields)
        self.sizes.append(get_recurrent_config(layer)["units"])
        self.gives_sequence = get_recurrent_config(layer).get("return_sequences", False)

    def add(self, number: int, layer: KerasLayer, part: Part) -> None:
        if self.is_scored:
            raise self.refuse(layer, "it comes after the softmax")
        self.check_axis(layer)
        if part is SOFTMAX:
            if not self.recurrent:
                raise self.refuse(layer, "a softmax within the image layers")
            self.is_scored = True
        elif self.recurrent:
            self.add_readout_layer(layer, part)
        else:
            self.add_to_encoder(layer, part)
        if part.take is not None:
            take, order = part.take, self.order
            self.takers.append((number, lambda arrays: take(arrays, order)))
        if part.layer["kind"] == "linear":
            self.order = None

    def check_axis(self, layer: KerasLayer) -> None:
        """Refuses a norm or a softmax that is not over features, which stand last."""
        has_frames = not layer.is_distributed and (self.gives_sequence or not self.recurrent)
        last = (1 if self.recurrent else len(self.shape)) + has_frames
        axis = layer.config.get("axis", -1)
        if axis not in (-1, last, [-1], [last]):
            raise self.refuse(layer, f"its axis is {axis}, and features stand on axis {last}")

    def add_to_encoder(self, layer: KerasLayer, part: Part) -> None:
        if not layer.is_distributed and layer.class_name not in FRAME_BY_FRAME:
            raise self.refuse(layer, "image layers stand in a TimeDistributed")
        ours = dict(part.layer)
        if ours.get("groups") == 0:  # a filter bank for each channel
            ours |= {"groups": self.shape[0], "channels": -ours["channels"] * self.shape[0]}
        if ours["kind"] == "flatten" and len(self.shape) == 3:
            self.order = self.shape
        self.encoder.append(ours)
        try:
            self.shape = compute_shape([ours], self.shape)
        except ValueError as error:
            raise self.refuse(layer, str(error)) from error

    def add_readout_layer(self, layer: KerasLayer, part: Part) -> None:
        kind = part.layer["kind"]
        if kind == "flatten" and not self.gives_sequence:
            return  # what it is given is flat
        if kind not in ("linear", "activation", "dropout", "batch_norm"):
            raise self.refuse(layer, "what follows the recurrent layers are Dense ones")
        if kind == "dropout" and self.gives_sequence and not self.readout_layers:
            self.rnn_dropout = part.layer["rate"]
        else:
            self.readout_layers.append(part.layer)

    def average(self, layer: KerasLayer) -> None:
        if not (self.gives_sequence and self.is_scored):
            raise self.refuse(layer, "what LRCN averages over frames are predictions, after the softmax")
        self.is_averaged, self.gives_sequence = True, False


def read_keras(path: Path) -> Weights:
    """The tensors of an LRCN in a `.keras` or `.h5` file, under our names, and the fields of its config."""
    try:
        network = read_network(path, partial(check_layers, path))
        arrangement = arrange(network, path)
        two_labels = split_classifier(arrangement)
        fields = make_fields(arrangement, network)
        tensors = name_tensors(arrangement, network, fields)
    except ConversionError:
        raise
    except (*DAMAGE, StrictDataclassError) as error:
        raise ConversionError(
            f"{path}: what its description says of the network cannot be so ({error}); save the model again"
        ) from error
    if two_labels:  # the probability of one label is the sigmoid of its score: its logit against 0
        for name in (f"{CLASSIFIER}.weight", f"{CLASSIFIER}.bias"):
            tensors[name] = torch.cat([torch.zeros_like(tensors[name]), tensors[name]])
    return Weights(tensors, fields=fields)


def check_layers(path: Path, layers: Sequence[KerasLayer], version: str) -> None:
    """Refuses a network with layers that LRCN does not have, and names them all."""
    problems = []
    for layer in layers:
        try:
            understand(layer, version)
        except UnsupportedError as error:
            problems.append(f"{layer.name} ({error})" if str(error) else layer.name)
    if problems:
        raise ConversionError(
            f"{path}: LRCN has no layers like {', '.join(problems)}. What converts is a chain of image layers in "
            "TimeDistributed, then LSTM or GRU layers, then Dense ones"
        )


def understand(layer: KerasLayer, version: str) -> list[Part] | dict[str, Any]:
    """Our layers for one of Keras's, or the fields that a recurrent one asks for."""
    if layer.class_name in (*RECURRENT, "Bidirectional"):
        return make_recurrent_fields(layer, version)
    if layer.class_name not in UNDERSTOOD:
        raise UnsupportedError
    return UNDERSTOOD[layer.class_name](layer.config)


def arrange(network: KerasNetwork, path: Path) -> Arrangement:
    if len(network.input_shape) != 4 or network.input_shape[1] != network.input_shape[2]:
        raise ConversionError(
            f"{path}: its input has shape {network.input_shape}; what converts takes (frames, height, width, "
            "channels), with frames as high as wide"
        )
    _, height, width, channels = network.input_shape
    if height is None or width is None or channels is None:
        raise ConversionError(
            f"{path}: its input has shape {network.input_shape}, which does not say how large frames are"
        )
    if math.prod(size or 1 for size in network.input_shape) > MAX_INPUT_VALUES:
        raise ConversionError(f"{path}: its input has shape {network.input_shape}, which is larger than any clip")
    arrangement = Arrangement(path, (channels, height, width))
    for number, layer in enumerate(network.layers):
        understood = understand(layer, network.version)
        if layer.class_name == "GlobalAveragePooling1D":
            arrangement.average(layer)
        elif isinstance(understood, dict):
            arrangement.add_recurrent(number, layer, understood)
        else:
            for part in understood:
                arrangement.add(number, layer, part)
    return arrangement


def split_classifier(arrangement: Arrangement) -> bool:
    """Takes the classifier off the readout layers, and says whether it has one score for two labels."""
    layers, path = arrangement.readout_layers, arrangement.path
    if not arrangement.recurrent:
        raise ConversionError(f"{path}: has no LSTM or GRU layer")
    if arrangement.gives_sequence:
        raise ConversionError(f"{path}: gives something for every frame; what converts gives one prediction for a clip")
    is_binary = len(layers) > 1 and layers[-1].get("function") == "sigmoid" and layers[-2].get("features") == 1
    if is_binary:
        layers.pop()
    if not layers or layers[-1]["kind"] != "linear" or (layers[-1]["features"] == 1 and not is_binary):
        raise ConversionError(f"{path}: does not end in a Dense layer with softmax, or with sigmoid for one score")
    layers.pop()
    return is_binary


def make_fields(arrangement: Arrangement, network: KerasNetwork) -> dict[str, Any]:
    num_frames, image_size, _, num_channels = network.input_shape
    sizes = {"image_size": image_size, "num_channels": num_channels}
    return {
        "backbone_config": {"model_type": "simple_cnn", "layers": arrangement.encoder, **sizes},
        **sizes,
        **({"num_frames": num_frames} if num_frames else {}),
        **arrangement.recurrent[0],
        "rnn_hidden_size": arrangement.sizes,
        "num_layers": len(arrangement.sizes),
        "rnn_dropout": arrangement.rnn_dropout,
        "readout_layers": arrangement.readout_layers,
        "readout": "average" if arrangement.is_averaged else "last",
    }


def name_tensors(arrangement: Arrangement, network: KerasNetwork, fields: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The tensors under our names: our modules with weights stand in the order of Keras's layers."""
    with torch.device("meta"):
        model = LRCNForVideoClassification(LRCNConfig(**fields))
    weighted = (nn.Conv2d, nn.Linear, nn.modules.batchnorm._BatchNorm, RecurrentCell)
    names = [name for name, module in model.named_modules() if isinstance(module, weighted)]
    tensors = {}
    for name, (number, taker) in zip(names, arrangement.takers, strict=True):
        for own, array in taker(network.arrays[number]).items():
            tensors[f"{name}.{own}"] = torch.from_numpy(np.ascontiguousarray(array))
    if f"{CLASSIFIER}.bias" not in tensors:
        tensors[f"{CLASSIFIER}.bias"] = torch.zeros(len(tensors[f"{CLASSIFIER}.weight"]))
    return tensors


# The source


def make_processor_fields(config: NetworkConfig) -> dict[str, Any]:
    size = {"height": config.image_size, "width": config.image_size}
    return {
        "num_frames": config.num_frames,
        "size": size,
        "crop_size": size,
        "sampling": "strided",
        "antialias": False,
        "channel_order": "bgr",
    }


SOURCES = [
    Source(
        name="keras/lrcn",
        fields={},
        renames=[],
        classifier=f"{CLASSIFIER}.weight",
        processor_of=make_processor_fields,
    )
]
