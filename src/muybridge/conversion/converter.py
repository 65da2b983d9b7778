"""Foreign weights become one of our models."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from muybridge.conversion import (
    caffe,
    davidea,
    deepmind,
    hassony2,
    kenshohara,
    keras,
    piergiaj,
    torchvision,
    torchvision_images,
)
from muybridge.conversion.errors import ConversionError
from muybridge.conversion.sources import Source
from muybridge.conversion.weights import strip_wrapper_prefixes
from muybridge.data.labels import read_labels
from muybridge.models.base import NetworkForClassification

SOURCES: dict[str, Source] = {
    source.name: source
    for module in (
        torchvision,
        torchvision_images,
        kenshohara,
        davidea,
        deepmind,
        piergiaj,
        hassony2,
        keras,
        caffe,
    )
    for source in module.SOURCES
}

# Checkpoints older than PyTorch 0.4.1 have no such counter; nothing but a cumulative average would use it.
OPTIONAL_SUFFIX = ".num_batches_tracked"
MAX_LISTED = 12


def get_source(name: str) -> Source:
    if name not in SOURCES:
        similar = difflib.get_close_matches(name, SOURCES, n=1)
        hint = f"; did you mean {similar[0]}?" if similar else "."
        raise ConversionError(f"source {name!r} is not known{hint} The known ones are {', '.join(SOURCES)}")
    return SOURCES[name]


def convert(
    source: str,
    state_dict: Mapping[str, Tensor],
    *,
    labels: Sequence[str] | None = None,
    fields: Mapping[str, Any] | None = None,
) -> NetworkForClassification:
    """The model of `source` with the tensors of `state_dict`, in evaluation mode.

    `labels` are the names of the classes in order; without them the source's own are taken where they are known.
    `fields` are config fields that the weights' file tells itself (`Weights.fields`).
    """
    known = get_source(source)
    others = [name for name, value in state_dict.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if others:
        listed = ", ".join(map(str, others[:MAX_LISTED]))
        raise ConversionError(f"the state dict holds other things than tensors: {listed}")
    model, tensors, problems = fit(known, strip_wrapper_prefixes(state_dict), fields)
    if problems:
        raise ConversionError(describe(known, state_dict, problems))
    model.load_state_dict(tensors, assign=True)
    set_labels(model, known, labels)
    return model.eval()


def fit(
    source: Source, state_dict: Mapping[str, Tensor], fields: Mapping[str, Any] | None = None
) -> tuple[NetworkForClassification, dict[str, Tensor], list[str]]:
    """An empty model, the tensors under its names, and what does not fit."""
    state_dict = source.adapt(state_dict) if source.adapt else state_dict
    classifier = state_dict.get(source.classifier)
    num_labels = classifier.shape[0] if classifier is not None and classifier.ndim == 2 else 1
    with torch.device("meta"):
        model = source.architecture.task_model(source.config(state_dict, num_labels, fields))
    expected = {source.original_name(name): (name, tensor) for name, tensor in model.state_dict().items()}
    tensors, problems = {}, []
    for original, (name, empty) in expected.items():
        found, shape = state_dict.get(original), empty.shape
        if found is None and original.endswith(OPTIONAL_SUFFIX):
            found = torch.zeros((), dtype=torch.int64)
        if found is None:
            problems.append(f"missing: {original} {tuple(shape)}")
        elif found.shape != shape:
            problems.append(f"misshapen: {original} is {tuple(found.shape)}, not {tuple(shape)}")
        elif not is_plain(found, empty):
            problems.append(f"no plain numbers: {original} is {describe_kind(found)}; save it as {empty.dtype}")
        else:
            tensors[name] = as_parameter(found, empty)
    extra = [name for name in state_dict if name not in expected]
    return (
        model,
        tensors,
        problems + [f"not expected: {name} {tuple(state_dict[name].shape)}" for name in extra],
    )


def is_plain(tensor: Tensor, like: Tensor) -> bool:
    """Whether a file's tensor holds its numbers one by one, and real ones where `like` does."""
    is_dense = tensor.layout == torch.strided and not tensor.is_quantized
    return is_dense and (tensor.is_floating_point() or not (like.is_floating_point() or tensor.is_complex()))


def describe_kind(tensor: Tensor) -> str:
    """What a tensor holds, in words."""
    return str(tensor.dtype) if tensor.layout == torch.strided else f"{tensor.dtype} in {tensor.layout}"


def as_parameter(tensor: Tensor, like: Tensor) -> Tensor:
    """A copy that shares nothing with the file's tensor, of the type of ours."""
    return tensor.detach().to(like.dtype, copy=True, memory_format=torch.contiguous_format)


def describe(source: Source, state_dict: Mapping[str, Tensor], problems: Sequence[str]) -> str:
    tensors = strip_wrapper_prefixes(state_dict)
    listed = [*problems[:MAX_LISTED]]
    if len(problems) > MAX_LISTED:
        listed.append(f"and {len(problems) - MAX_LISTED} more")
    fitting = [other.name for other in SOURCES.values() if other is not source and not fit(other, tensors)[2]]
    remedy = f". They fit {' and '.join(fitting)}: use that source" if fitting else ""
    return f"the weights are not those of {source.name}{remedy}\n  " + "\n  ".join(listed)


def set_labels(model: NetworkForClassification, source: Source, labels: Sequence[str] | None) -> None:
    num_labels = model.config.num_labels
    if labels is None and source.is_published(num_labels) and source.recipe.labels:
        labels = read_labels(source.recipe.labels)
    if labels is None:
        return
    if len(labels) != num_labels:
        raise ConversionError(f"there are {len(labels)} labels for a classifier of {num_labels}")
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {label: index for index, label in enumerate(labels)}
