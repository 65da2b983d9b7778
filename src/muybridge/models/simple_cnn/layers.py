"""Layers that a config lists: what there is, what each makes of a shape, and the modules.

A layer is a dictionary: its `kind`, and fields. Sizes are one number, or height and width. Padding "same" is
TensorFlow's: the output has ⌈size / stride⌉ places, and where an odd number of zeros is needed, the larger half comes
after. Pooling with it takes no zeros in.

Shapes: N images, C channels, H×W pixels, D features.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import initialization as init

Layer = Mapping[str, Any]
Shape = tuple[int, ...]  # of one image: (C, H, W), or (D,)
Pair = tuple[int, int]

REQUIRED = object()
# The fields of each kind of layer, with what they are where they are not stated.
KINDS: dict[str, dict[str, Any]] = {
    "convolution": {
        "channels": REQUIRED,
        "kernel_size": REQUIRED,
        "stride": 1,
        "dilation": 1,
        "groups": 1,
        "padding": "valid",
        "bias": True,
    },
    "max_pooling": {"kernel_size": REQUIRED, "stride": None, "padding": "valid"},
    "average_pooling": {"kernel_size": REQUIRED, "stride": None, "padding": "valid"},
    "global_max_pooling": {},
    "global_average_pooling": {},
    "flatten": {},
    "linear": {"features": REQUIRED, "bias": True},
    "batch_norm": {"eps": 1e-3, "momentum": 0.1},
    "activation": {"function": REQUIRED, "slope": 0.3},
    "dropout": {"rate": REQUIRED},
}
# With a size of the kernel and a place of its own in the plane: they need a map, and not a vector.
ON_MAPS = frozenset({"convolution", "max_pooling", "average_pooling", "global_max_pooling", "global_average_pooling"})
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "tanh": nn.Tanh,
}


# Reading


def as_pair(value: int | Sequence[int]) -> Pair:
    height, width = (value, value) if isinstance(value, int) else value
    return height, width


def complete_layer(layer: Layer) -> dict[str, Any]:
    """The layer with every field; a kind, a field or a value that cannot be is an error."""
    kind = layer.get("kind")
    if kind not in KINDS:
        raise ValueError(f"the kind of the layer {dict(layer)} is {kind!r}; it must be one of {', '.join(KINDS)}")
    known = {"kind": kind, **KINDS[kind]}
    unknown = sorted(set(layer) - set(known))
    if unknown:
        raise ValueError(f"a layer of kind {kind!r} has no field {', '.join(unknown)}; it has {', '.join(known)}")
    filled = {**known, **layer}
    missing = [name for name, value in filled.items() if value is REQUIRED]
    if missing:
        raise ValueError(f"the layer {dict(layer)} lacks {', '.join(missing)}")
    if filled.get("padding", "valid") not in ("valid", "same"):
        raise ValueError(f"the padding of the layer {dict(layer)} must be 'valid' or 'same'")
    if kind == "activation" and filled["function"] not in ACTIVATIONS:
        raise ValueError(f"there is no activation {filled['function']!r}; there are {', '.join(ACTIVATIONS)}")
    for name in ("channels", "kernel_size", "stride", "dilation", "groups", "features"):
        if filled.get(name) is not None and min(as_pair(filled[name])) < 1:
            raise ValueError(f"{name} of the layer {dict(layer)} is {filled[name]}; it must be 1 or more")
    return filled


def read_window(layer: Layer) -> tuple[Pair, Pair, Pair]:
    """The kernel, the stride and the dilation of a convolution or a pooling."""
    kernel = as_pair(layer["kernel_size"])
    stride = layer["stride"] or kernel  # poolings that state none touch and do not overlap
    return kernel, as_pair(stride), as_pair(layer.get("dilation", 1))


# Arithmetic


def compute_same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> Pair:
    """How many zeros come before and after an axis of this size."""
    total = max(0, (-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1 - size)
    return total // 2, total - total // 2


def compute_shape(layers: Sequence[Layer], shape: Shape) -> Shape:
    """The shape of one image after the layers."""
    for stated in layers:
        layer = complete_layer(stated)
        shape = compute_shape_after_layer(layer, shape)
        if min(shape) < 1:
            raise ValueError(f"nothing is left of the image after the layer {dict(stated)}; its shape would be {shape}")
    return shape


def compute_shape_after_layer(layer: Layer, shape: Shape) -> Shape:
    kind = layer["kind"]
    if kind in ON_MAPS and len(shape) != 3:
        raise ValueError(f"a layer of kind {kind!r} takes a map (channels, height, width), not a vector of {shape[0]}")
    if kind in ("convolution", "max_pooling", "average_pooling"):
        channels = layer["channels"] if kind == "convolution" else shape[0]
        return channels, *(count_windows(layer, axis, shape[axis + 1]) for axis in (0, 1))
    if kind in ("global_max_pooling", "global_average_pooling"):
        return (shape[0],)
    if kind == "flatten":
        return (torch.Size(shape).numel(),)
    if kind == "linear":
        if len(shape) != 1:
            raise ValueError(f"a layer of kind 'linear' takes a vector, not a map {shape}; put 'flatten' before it")
        return (layer["features"],)
    return shape


def count_windows(layer: Layer, axis: int, size: int) -> int:
    """How many windows fit along an axis."""
    kernel, stride, dilation = (pair[axis] for pair in read_window(layer))
    if layer["padding"] == "same":
        return -(-size // stride)
    return (size - dilation * (kernel - 1) - 1) // stride + 1


# Modules


class SamePadding(nn.Module):
    """Zeros around maps (N, C, H, W), as many as padding "same" asks for at their size."""

    def __init__(self, kernel: Pair, stride: Pair, dilation: Pair = (1, 1), fill: float = 0.0) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride
        self.dilation = dilation
        self.fill = fill

    def forward(self, hidden: Tensor) -> Tensor:
        top, bottom = compute_same_padding(hidden.shape[-2], self.kernel[0], self.stride[0], self.dilation[0])
        left, right = compute_same_padding(hidden.shape[-1], self.kernel[1], self.stride[1], self.dilation[1])
        return F.pad(hidden, (left, right, top, bottom), value=self.fill)


class SameAveragePooling(nn.Module):
    """The mean of each window's pixels, those that are padding not counted."""

    def __init__(self, kernel: Pair, stride: Pair) -> None:
        super().__init__()
        self.padding = SamePadding(kernel, stride)
        self.pooling = nn.AvgPool2d(kernel, stride)

    def forward(self, hidden: Tensor) -> Tensor:
        shares = self.pooling(self.padding(torch.ones_like(hidden[:1, :1])))
        return self.pooling(self.padding(hidden)) / shares


class HiddenLinear(nn.Linear):
    """A linear layer between others: with transformers' initialisation the signal would die away in it."""

    def initialize(self) -> None:
        init.kaiming_normal_(self.weight, nonlinearity="relu")
        if self.bias is not None:
            init.zeros_(self.bias)


def build_layer(stated: Layer, shape: Shape) -> list[nn.Module]:
    """The modules of a layer on images of this shape."""
    layer = complete_layer(stated)
    kind = layer["kind"]
    if kind == "convolution":
        return build_convolution(layer, shape[0])
    if kind in ("max_pooling", "average_pooling"):
        return build_pooling(layer)
    if kind == "linear":
        return [HiddenLinear(shape[0], layer["features"], bias=layer["bias"])]
    if kind == "batch_norm":
        norm = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
        return [norm(shape[0], eps=layer["eps"], momentum=layer["momentum"])]
    if kind == "activation":
        slope = {"negative_slope": layer["slope"]} if layer["function"] == "leaky_relu" else {}
        return [ACTIVATIONS[layer["function"]](**slope)]
    if kind == "dropout":
        return [nn.Dropout(layer["rate"])]
    if kind == "flatten":
        return [nn.Flatten()]
    pooling = nn.AdaptiveMaxPool2d(1) if kind == "global_max_pooling" else nn.AdaptiveAvgPool2d(1)
    return [pooling, nn.Flatten()]


def build_convolution(layer: Layer, in_channels: int) -> list[nn.Module]:
    kernel, stride, dilation = read_window(layer)
    is_same = layer["padding"] == "same"
    rows, columns = (spread * (size - 1) for size, spread in zip(kernel, dilation, strict=True))
    # Without a stride as many zeros come before as after, if the number is even: the convolution adds them itself.
    adds_them_itself = stride == (1, 1) and rows % 2 == columns % 2 == 0
    convolution = nn.Conv2d(
        in_channels,
        layer["channels"],
        kernel,
        stride,
        padding=(rows // 2, columns // 2) if is_same and adds_them_itself else 0,
        dilation=dilation,
        groups=layer["groups"],
        bias=layer["bias"],
    )
    if is_same and not adds_them_itself:
        return [SamePadding(kernel, stride, dilation), convolution]
    return [convolution]


def build_pooling(layer: Layer) -> list[nn.Module]:
    kernel, stride, _ = read_window(layer)
    if layer["kind"] == "max_pooling":
        pooling = nn.MaxPool2d(kernel, stride)
        return [SamePadding(kernel, stride, fill=-torch.inf), pooling] if layer["padding"] == "same" else [pooling]
    return [SameAveragePooling(kernel, stride)] if layer["padding"] == "same" else [nn.AvgPool2d(kernel, stride)]
