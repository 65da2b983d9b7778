"""What a network gives for every view of every video, as one array.

Shapes: N videos, V views of each, D outputs of a view.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel
from transformers.video_processing_utils import VideoProcessorMixin

from muybridge.data.records import VideoRecord
from muybridge.evaluation.protocols import make_processor_arguments
from muybridge.evaluation.truth import Truth
from muybridge.inference import Engine, Loading, Outcome, VideoLoader, count_frames, evaluation_mode, get_stores
from muybridge.text import shorten
from muybridge.types import Protocol

Values = NDArray[np.float32]


class Collected(NamedTuple):
    """An output for every view (N, V, D), NaN for videos that could not be read, and by their names why not."""

    values: Values
    unreadable: dict[str, str]


def run_views(
    network: Callable[..., Mapping[str, Tensor]],
    model: PreTrainedModel,
    processor: VideoProcessorMixin,
    data: Iterable[VideoRecord],
    protocol: Protocol,
    truth: Truth,
    loading: Loading,
    *,
    title: str,
) -> Collected:
    """What `network`, which is `model` or a part of it, gives for each view of each video: its one output.

    Every process takes its share, and every process gets all of it. `truth` gathers what is known of the videos.
    """
    arguments = {**count_frames(model.config, processor), **make_processor_arguments(protocol, processor)}
    load = VideoLoader(processor, arguments, get_stores(data))
    engine = Engine(network, load, load.num_views, loading, model.device, model.dtype, title)
    with evaluation_mode(model):
        return collect(engine.run_shared(truth.gather(data)), truth)


def collect(outcomes: Iterable[Outcome], truth: Truth) -> Collected:
    """The one output of all videos, whose names `truth` knows when the last outcome is there."""
    rows: list[Values | None] = []
    reasons: dict[int, str] = {}
    for outcome in outcomes:
        if outcome.outputs is None:
            reasons[len(rows)] = outcome.reason or ""
            rows.append(None)
        else:
            (output,) = outcome.outputs.values()
            rows.append(output.numpy())
    videos = truth.videos
    unreadable = {videos[position]: reason for position, reason in reasons.items()}
    values = stack(rows, unreadable)
    refuse_broken(values, videos, unreadable)
    return Collected(values, unreadable)


def stack(rows: Sequence[Values | None], unreadable: Mapping[str, str]) -> Values:
    """The rows as one array, NaN where there is none."""
    shape = next((row.shape for row in rows if row is not None), None)
    if shape is None:
        video, reason = next(iter(unreadable.items()))
        raise ValueError(f"none of the {len(rows)} videos can be read; the first is {video}: {reason}")
    values = np.full((len(rows), *shape), np.nan, dtype=np.float32)
    for position, row in enumerate(rows):
        if row is not None:
            values[position] = row
    return values


def refuse_broken(values: Values, videos: Sequence[str], unreadable: Mapping[str, str]) -> None:
    """Raises where a network gave numbers that are not finite for a video that could be read."""
    is_finite = np.isfinite(values.reshape(len(videos), -1)).all(axis=1)
    silent = [videos[position] for position in np.flatnonzero(~is_finite).tolist()]
    broken = [video for video in silent if video not in unreadable]
    if broken:
        raise ValueError(f"the model gives numbers that are not finite for {shorten(broken)}: its weights are broken")
