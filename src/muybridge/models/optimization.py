"""A model made faster for inference.

Four things are done, by pattern and whatever the architecture:

- a convolution in an `nn.Sequential` takes in the batch norm and the activation that follow it there;
- convolutions keep channels last, and on a processor their weights lie in the order that oneDNN computes in:
  otherwise oneDNN reorders them at every call, and torch leaves small convolutions to a slower kernel;
- weights and activations become bfloat16 where the hardware multiplies it faster than float32;
- a processor computes a large batch in parts.

In residual networks of 18 layers 98 % of the time is then spent in oneDNN's convolutions, which are as fast as the
processor's largest matrix products. Tried and left out: the addition of a residual block within its last convolution,
and k×1×1 convolutions as flat ones (each gains less than 2 %); 8-bit convolutions (1.5 and 1.2 times faster than
bfloat16, with 1 % difference of the logits where bfloat16 has 0.3 %; they need clips to calibrate on, and functions
that torch is withdrawing).
"""

import copy
import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any, NoReturn, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval
from transformers import PreTrainedModel

from muybridge.models.adapters import find_head
from muybridge.models.base import NetworkPreTrainedModel
from muybridge.models.vocabulary import Vocabulary

Convolution = nn.Conv2d | nn.Conv3d

CHANNELS_LAST = {nn.Conv2d: torch.channels_last, nn.Conv3d: torch.channels_last_3d}
# What oneDNN calls the activations that it computes within a convolution.
ACTIVATIONS: dict[type[nn.Module], str] = {nn.ReLU: "relu", nn.SiLU: "swish", nn.Hardswish: "hardswish"}

# Two clips of 16×112×112. Beyond it the activations leave the cache, and the C library takes and returns the memory of
# each, which the system clears page by page: 15 to 25 % of the time of a batch of 8.
VALUES_IN_A_PART = 2 * 16 * 3 * 112 * 112


def optimize(model: PreTrainedModel, *, exact: bool = False) -> PreTrainedModel:
    """A copy of `model` for inference, with its class, its config, and the same inputs and outputs.

    Where the hardware computes bfloat16 fast, the copy does; features and hidden states are then bfloat16, and logits
    float32. `exact=True` keeps the precision of the weights. It takes float32 and bfloat16 inputs either way, and
    cannot be trained or saved: train and save the original.
    """
    optimized = copy.deepcopy(model).eval().requires_grad_(False)
    for module in list(optimized.modules()):
        if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
            fuse_sequential(module)
    for module in list(optimized.modules()):
        pack_children(module)
    if not exact and is_bfloat16_fast(optimized.device):
        convert_to_bfloat16(optimized)
    for module in optimized.modules():
        if isinstance(module, PreTrainedModel):
            module.register_forward_pre_hook(partial(cast_inputs, dtype=optimized.dtype), with_kwargs=True)
    if isinstance(optimized, NetworkPreTrainedModel):
        trunk = optimized.base_model
        trunk.forward = partial(forward_in_parts, trunk)
    optimized.save_pretrained = refuse_to_save
    return optimized


def refuse_to_save(*_arguments: Any, **_options: Any) -> NoReturn:
    raise RuntimeError(
        "this model was made by muybridge.optimize: its weights have another form, for this machine; save the original "
        "model, and optimize it again after from_pretrained"
    )


# Convolutions


class PackedConvolution(nn.Module):
    """A convolution and the activation after it, computed in the layout that is fastest."""

    def __init__(self, convolution: Convolution, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.memory_format = CHANNELS_LAST[type(convolution)]
        self.weight = nn.Parameter(convolution.weight.to(memory_format=self.memory_format), requires_grad=False)
        self.bias = convolution.bias
        self.convolve = nn.functional.conv3d if isinstance(convolution, nn.Conv3d) else nn.functional.conv2d
        self.padding = convolution.padding
        self.stride = convolution.stride
        self.dilation = convolution.dilation
        self.groups = convolution.groups
        self.activation = activation
        self.packed_weight: Tensor | None = None

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = hidden.to(self.weight.dtype, memory_format=self.memory_format)
        if can_pack(hidden):
            return self.convolve_packed(hidden)
        hidden = self.convolve(hidden, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        return hidden if self.activation is None else self.activation(hidden)

    def convolve_packed(self, hidden: Tensor) -> Tensor:
        geometry = (self.padding, self.stride, self.dilation, self.groups)
        if self.packed_weight is None:  # packed at the first call, because the best order depends on the input's size
            self.packed_weight = pack(self.weight, *geometry, hidden.shape)
        activation = "none" if self.activation is None else ACTIVATIONS[type(self.activation)]
        return torch.ops.mkldnn._convolution_pointwise(
            hidden, self.packed_weight, self.bias, *geometry, activation, [], ""
        )

    def _apply(self, *arguments: Any, **options: Any) -> "PackedConvolution":
        self.packed_weight = None  # the model is being moved or cast, and this tensor would not follow
        return super()._apply(*arguments, **options)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "packed_weight": None}  # oneDNN's tensors can be neither copied nor pickled


def pack(weight: Tensor, *geometry: Any) -> Tensor:
    """The weight in oneDNN's order for a convolution of this padding, stride, dilation, groups and input size."""
    functions = torch._C._nn
    reorder = functions.mkldnn_reorder_conv3d_weight if weight.ndim == 5 else functions.mkldnn_reorder_conv2d_weight
    return reorder(weight.to_mkldnn(), *geometry)


def can_pack(hidden: Tensor) -> bool:
    """Whether convolutions of `hidden` run on packed weights. They have no gradient."""
    if hidden.device.type != "cpu" or (hidden.requires_grad and torch.is_grad_enabled()):
        return False
    is_fast = hidden.dtype == torch.float32 or (hidden.dtype == torch.bfloat16 and is_bfloat16_fast(hidden.device))
    return is_fast and has_packed_convolutions()


def has_packed_convolutions() -> bool:
    """Whether this torch has the functions, which are not public, that torch.compile packs with."""
    return (
        torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
        and hasattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")
        and hasattr(torch._C._nn, "mkldnn_reorder_conv3d_weight")
    )


def is_packable(module: nn.Module) -> TypeGuard[Convolution]:
    return type(module) in CHANNELS_LAST and module.padding_mode == "zeros" and isinstance(module.padding, tuple)


def can_fold(norm: nn.Module, convolution: Convolution) -> TypeGuard[_BatchNorm]:
    """Whether the norm, by what it learnt in training, is a scale and a shift of the convolution's channels."""
    return (
        isinstance(norm, nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm)
        and norm.running_mean is not None
        and norm.num_features == convolution.out_channels
    )


def fuse_sequential(sequential: nn.Sequential) -> None:
    """Replaces each run of convolution, norm and activation; what was taken in becomes an identity."""
    for index in range(len(sequential)):
        convolution, *followers = list(sequential)[index:]
        if not is_packable(convolution):
            continue
        activation, following = None, index + 1
        if followers and can_fold(followers[0], convolution):
            convolution = fuse_conv_bn_eval(convolution, followers[0])
            sequential[following] = nn.Identity()
            following, followers = following + 1, followers[1:]
        if followers and type(followers[0]) in ACTIVATIONS:
            activation = followers[0]
            sequential[following] = nn.Identity()
        sequential[index] = PackedConvolution(convolution, activation)


def pack_children(module: nn.Module) -> None:
    for name, child in module.named_children():
        if is_packable(child):
            setattr(module, name, PackedConvolution(child))


# Precision


def is_bfloat16_fast(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 itself, rather than float32 in its place."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # A torch too old to say what the processor has keeps float32.
    capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    has_instructions = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return device.type == "cpu" and has_instructions and torch.backends.mkldnn.is_available()


def convert_to_bfloat16(model: PreTrainedModel) -> None:
    """Casts everything but batch norms, whose statistics need the digits, and the head.

    Logits rounded to bfloat16 would make two labels with close scores equal.
    """
    kept: set[nn.Module] = {module for module in model.modules() if isinstance(module, _BatchNorm)}
    head = find_head(model)
    if head is not None:
        kept |= set(head.modules())
        if isinstance(head, nn.Linear):  # heads of ours cast what they are given
            head.register_forward_pre_hook(cast_to_float32)
    for module in set(model.modules()) - kept:
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            if tensor.is_floating_point():
                tensor.data = tensor.data.to(torch.bfloat16)


def cast_to_float32(_module: nn.Module, arguments: tuple[Tensor]) -> tuple[Tensor]:
    return (arguments[0].float(),)


def cast_inputs(
    model: PreTrainedModel, arguments: tuple[Any, ...], named: dict[str, Any], *, dtype: torch.dtype
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Casts the inputs of the model, given by position or by name; labels stay as they are."""
    inputs = set(model.input_shapes()) if isinstance(model, Vocabulary) else {model.main_input_name}
    _, *names = inspect.signature(type(model).forward).parameters

    def cast(name: str, value: Any) -> Any:
        is_cast = name in inputs and isinstance(value, Tensor) and value.is_floating_point()
        return value.to(dtype) if is_cast else value

    by_position = tuple(cast(name, value) for name, value in zip(names, arguments, strict=False))
    return by_position, {name: cast(name, value) for name, value in named.items()}


# Batches


def forward_in_parts(trunk: NetworkPreTrainedModel, *positional: Any, **options: Any) -> Any:
    """What the trunk's own forward gives; on a processor it is called with a few videos or images at a time."""
    forward = partial(type(trunk).forward, trunk)
    given = {**dict(zip(inspect.signature(forward).parameters, positional, strict=False)), **options}
    tensors = {name: value for name, value in given.items() if isinstance(value, Tensor)}
    rest = {name: value for name, value in given.items() if name not in tensors}
    batch_size = len(next(iter(tensors.values()), ()))
    num_values = sum(tensor.numel() for tensor in tensors.values()) // max(1, batch_size)
    part_size = max(1, VALUES_IN_A_PART // max(1, num_values))
    if batch_size <= part_size or any(tensor.device.type != "cpu" for tensor in tensors.values()):
        return forward(**given)
    parts = zip(*(tensor.split(part_size) for tensor in tensors.values()), strict=True)
    return join([forward(**dict(zip(tensors, part, strict=True)), **rest) for part in parts])


def join(parts: list[Any]) -> Any:
    """The outputs of a batch from those of its parts: tensors, or tuples and `ModelOutput`s of them."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.cat(parts)
    if isinstance(first, tuple):
        return tuple(join(list(column)) for column in zip(*parts, strict=True))
    return type(first)(**{name: join([part[name] for part in parts]) for name in first})
