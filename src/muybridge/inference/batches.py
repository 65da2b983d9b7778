"""Inputs of several videos go through a network together, and its outputs are divided among them again.

Shapes: V views of a video, N views in a batch. Whatever stands after them is the network's affair.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

# By name, as the network's own forward has them. Each has the views in front, masks too.
Inputs = Mapping[str, Tensor]
Outputs = dict[str, Tensor]
Network = Callable[..., Mapping[str, Tensor]]


def run_batch(
    network: Network,
    videos: Sequence[Inputs],
    batch_size: int,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> list[Outputs]:
    """What the network gives for the views (V, …) of each video, `batch_size` views at a time.

    Floating point numbers go in as `dtype` and come out as float32, on the processor. Videos whose inputs differ in
    size are run one by one.
    """
    if len({describe_shapes(views) for views in videos}) > 1:
        return [
            part for views in videos for part in run_batch(network, [views], batch_size, device=device, dtype=dtype)
        ]
    if not videos:
        return []
    with torch.no_grad():
        parts = [
            bring_home(network(**{name: move(tensor, device, dtype) for name, tensor in part.items()}))
            for part in split_views(join(videos), batch_size)
        ]
    return divide(join(parts), [count_views(views) for views in videos])


def describe_shapes(views: Inputs) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """What the inputs of two videos must have in common to share a batch."""
    return tuple((name, tuple(tensor.shape[1:])) for name, tensor in sorted(views.items()))


def count_views(views: Inputs) -> int:
    counts = {name: len(tensor) for name, tensor in views.items()}
    if len(set(counts.values())) != 1:
        raise ValueError(f"the inputs of a video have {counts} views; each must have as many")
    return next(iter(counts.values()))


def join(parts: Sequence[Mapping[str, Tensor]]) -> Outputs:
    return {name: torch.cat([part[name] for part in parts]) if len(parts) > 1 else parts[0][name] for name in parts[0]}


def split_views(inputs: Outputs, batch_size: int) -> Iterator[Outputs]:
    for start in range(0, count_views(inputs), batch_size):
        yield {name: tensor[start : start + batch_size] for name, tensor in inputs.items()}


def move(tensor: Tensor, device: torch.device | str | None, dtype: torch.dtype | None) -> Tensor:
    """The tensor where the network is; whole numbers and masks stay what they are."""
    return tensor.to(device, dtype if tensor.is_floating_point() else None)


def bring_home(outputs: Mapping[str, Tensor]) -> Outputs:
    return {
        name: tensor.to("cpu", torch.float32 if tensor.is_floating_point() else None)
        for name, tensor in outputs.items()
    }


def divide(outputs: Outputs, counts: Sequence[int]) -> list[Outputs]:
    """The outputs of each video. They are copies: what is kept of one must not keep the whole batch in memory."""
    columns = {name: [part.clone() for part in tensor.split(list(counts))] for name, tensor in outputs.items()}
    return [{name: parts[index] for name, parts in columns.items()} for index in range(len(counts))]
