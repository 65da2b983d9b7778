"""Every view of every video goes through a network once, whatever the number of processes.

Videos are divided into batches first and batches among the processes afterwards. So each batch is the same for any
number of processes, and so are its outputs, to the bit; and no video is padded or counted twice.

Shapes: N videos, V views of each, T frames, C channels, H×W pixels, D outputs of a view.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm
from transformers import PreTrainedModel
from transformers.video_processing_utils import VideoProcessorMixin

from muybridge.data.records import VideoRecords
from muybridge.evaluation.protocols import processor_arguments
from muybridge.inference import map_ahead
from muybridge.processes import process_state
from muybridge.text import shorten
from muybridge.types import Protocol
from muybridge.video import ErrorPolicy


@dataclass(frozen=True)
class Loading:
    """How videos are read on the way to a network.

    `batch_size` views go through it at once; `num_workers` threads decode ahead; `errors` is what an unreadable video
    does: raise, skip or retry(n).
    """

    batch_size: int = 8
    num_workers: int = 2
    errors: str = "skip"

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}; it must be 1 or more")
        if self.num_workers < 0:
            raise ValueError(f"num_workers is {self.num_workers}; it must be zero or more")
        ErrorPolicy.parse(self.errors)


class Outputs:
    """What a network gave for every view (N, V, D), NaN for videos that could not be read, and why they could not."""

    def __init__(self, values: NDArray[np.float32], unreadable: Mapping[str, str]) -> None:
        self.values = values
        self.unreadable = unreadable


def run_views(
    network: Callable[[Tensor], Tensor],
    model: PreTrainedModel,
    processor: VideoProcessorMixin,
    data: VideoRecords,
    protocol: Protocol,
    loading: Loading,
) -> Outputs:
    """The outputs of `network`, which is `model` or a part of it, for each view of each video.

    Every process takes its share, and every process gets all the outputs.
    """
    names = video_names(data)
    policy = ErrorPolicy.parse(loading.errors)
    arguments = processor_arguments(protocol, model.config)

    def load(position: int) -> Tensor | None:
        return policy.attempt(lambda: load_views(data, position, processor, arguments), names[position])

    state = process_state()
    videos_per_batch = max(1, loading.batch_size // protocol.num_views)
    batches = shard(len(data), videos_per_batch, state.process_index, state.num_processes)
    decoded = map_ahead(load, (position for batch in batches for position in batch), loading.num_workers)
    own: list[tuple[int, NDArray[np.float32] | None]] = []
    with at_test(model), progress(batches, protocol, state) as bar:
        for batch in batches:
            views = list(islice(decoded, len(batch)))
            outputs = run_batch(network, model, [each for each in views if each is not None], loading.batch_size)
            for position, each in zip(batch, views, strict=True):
                own.append((position, None if each is None else next(outputs)))
                bar.update(protocol.num_views)
    return assembled(gather_object(own), dict(gather_object(policy.skipped)), names)


def shard(num_videos: int, videos_per_batch: int, process_index: int, num_processes: int) -> list[range]:
    """The batches that fall to one process."""
    starts = range(0, num_videos, videos_per_batch)[process_index::num_processes]
    return [range(start, min(start + videos_per_batch, num_videos)) for start in starts]


def load_views(
    data: VideoRecords, position: int, processor: VideoProcessorMixin, arguments: Mapping[str, Any]
) -> Tensor:
    """The views (V, T, C, H, W) of one video."""
    with data.open(data[position]) as reader:
        pixels = processor(reader, return_tensors="pt", do_sample_frames=True, **arguments)[
            processor.model_input_names[0]
        ]
    return pixels if pixels.ndim == 5 else pixels[0]  # a processor leaves out the axis of a single view


def run_batch(
    network: Callable[[Tensor], Tensor], model: PreTrainedModel, videos: list[Tensor], batch_size: int
) -> Iterator[NDArray[np.float32]]:
    """The outputs (V, D) of each video's views (V, T, C, H, W)."""
    if len({views.shape[1:] for views in videos}) > 1:  # nothing was cropped: sizes differ
        for views in videos:
            yield from run_batch(network, model, [views], batch_size)
    elif videos:
        parts = torch.cat(videos).split(batch_size)
        outputs = [network(part.to(model.device, model.dtype)).float().cpu() for part in parts]
        yield from (part.numpy() for part in torch.cat(outputs).split([len(views) for views in videos]))


def assembled(
    parts: Sequence[tuple[int, NDArray[np.float32] | None]], unreadable: Mapping[str, str], names: Sequence[str]
) -> Outputs:
    """The parts of all processes in the order of the data."""
    shape = next((part.shape for _, part in parts if part is not None), None)
    if shape is None:
        video, reason = next(iter(unreadable.items()))
        raise ValueError(f"none of the {len(names)} videos can be read; the first is {video}: {reason}")
    values = np.full((len(names), *shape), np.nan, dtype=np.float32)
    for position, part in parts:
        if part is not None:
            values[position] = part
    is_broken = np.logical_not(np.isfinite(values.reshape(len(names), -1)).all(axis=1))
    broken = [name for name, broken in zip(names, is_broken, strict=True) if broken and name not in unreadable]
    if broken:
        raise ValueError(f"the model gives numbers that are not finite for {shorten(broken)}: its weights are broken")
    return Outputs(values, {name: unreadable[name] for name in names if name in unreadable})


@contextmanager
def at_test(model: PreTrainedModel) -> Iterator[None]:
    """Dropout off and no gradients; afterwards every module is in the mode it was in, for some may be frozen."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, is_training in modes:
            module.training = is_training


def progress(batches: Sequence[range], protocol: Protocol, state: PartialState) -> tqdm:
    """A bar of the first process's clips, on a terminal."""
    total = sum(map(len, batches)) * protocol.num_views
    return tqdm(total=total, unit="clip", desc="scoring", disable=None if state.is_main_process else True)


def video_names(data: VideoRecords) -> list[str]:
    """How the videos are called, below the folder that holds them all: the same wherever the data lie."""
    names = [record.name for record in data]
    levels = zip(*(name.split("/")[:-1] for name in names), strict=False)
    shared = [level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels)]
    return [name.removeprefix("".join(f"{folder}/" for folder in shared)) for name in names]
