"""`evaluate`: how good a model is on videos with labels, under a protocol."""

import difflib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import AutoModelForVideoClassification, PretrainedConfig, PreTrainedModel
from transformers.models.auto.video_processing_auto import AutoVideoProcessor
from transformers.video_processing_utils import VideoProcessorMixin

from muybridge.data import VideoRecords, require_targets
from muybridge.evaluation.protocols import get_protocol
from muybridge.evaluation.provenance import describe_model, versions
from muybridge.evaluation.results import Result
from muybridge.evaluation.scores import Scores
from muybridge.evaluation.views import Loading, run_views, video_names
from muybridge.text import shorten
from muybridge.types import Protocol


def evaluate(
    model: PreTrainedModel | str | Path,
    data: VideoRecords,
    protocol: Protocol | str | None = None,
    *,
    processor: VideoProcessorMixin | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    unreadable_are_wrong: bool = True,
    provenance: Mapping[str, Any] | None = None,
    **loading: Any,
) -> Result:
    """The result of a model on videos, whose labels it must know by name, whatever their order.

    model: a model, a folder or a name on the Hub; it runs on the device it is on.
    protocol: a protocol, or the name of one in PROTOCOLS; by default the one that the model's config states.
    processor: by default the one saved with the model.
    groups: labels by the name of their group, for a mean average precision of each.
    unreadable_are_wrong: False leaves videos that cannot be read out of the numbers; they are listed all the same.
    provenance: what else the result is to say of itself, such as where the data came from.
    loading: `batch_size`, `num_workers` and `errors`, see `Loading`.

    Under `accelerate launch` the processes share the videos, and each gets the whole result.
    """
    start = time.perf_counter()
    scores = score(model, data, protocol, processor=processor, provenance=provenance, loading=Loading(**loading))
    return Result(scores, groups or {}, unreadable_are_wrong, seconds=time.perf_counter() - start)


def score(
    model: PreTrainedModel | str | Path,
    data: VideoRecords,
    protocol: Protocol | str | None = None,
    *,
    processor: VideoProcessorMixin | None = None,
    provenance: Mapping[str, Any] | None = None,
    loading: Loading | None = None,
) -> Scores:
    """What a model says of every view of every video."""
    model, processor = loaded(model, processor)
    protocol = get_protocol(protocol, model.config)
    names = label_names(model.config)
    labels = labels_by_name(data, names)
    outputs = run_views(
        lambda views: model(**{model.main_input_name: views}).logits,
        model,
        processor,
        data,
        protocol,
        loading or Loading(),
    )
    about = {**describe_model(model), **versions(), "num_absent": len(data.absent), **(provenance or {})}
    return Scores(video_names(data), labels, names, outputs.values, protocol, outputs.unreadable, about)


def loaded(
    model: PreTrainedModel | str | Path, processor: VideoProcessorMixin | None
) -> tuple[PreTrainedModel, VideoProcessorMixin]:
    """The model, and the processor that was saved with it where none is given."""
    if isinstance(model, str | Path):
        model = AutoModelForVideoClassification.from_pretrained(model)
    if processor is None:
        if not model.config.name_or_path:
            raise ValueError("the model was not loaded from a checkpoint, so it has no processor; pass processor=")
        processor = AutoVideoProcessor.from_pretrained(model.config.name_or_path)
    return model, processor


def label_names(config: PretrainedConfig) -> list[str]:
    """The names of a model's labels, in the order of its outputs."""
    return [config.id2label[index] for index in range(config.num_labels)]


def labels_by_name(data: VideoRecords, names: Sequence[str]) -> NDArray[np.int64]:
    """The number (N,) that the model has for the label of each video."""
    if not len(data):
        raise ValueError("there are no videos to evaluate on")
    numbers: dict[str | None, int] = {name: number for number, name in enumerate(names)}
    unknown = [label for label in data.labels if label not in numbers]
    if unknown:
        raise ValueError(
            f"the data have labels that the model does not know: {shorten(unknown)}{similar(unknown[0], names)}. "
            f"The model's labels are {shorten(names)}; the data's {shorten(data.labels)}"
        )
    require_targets(data, "label")
    return np.array([numbers[record.label] for record in data], dtype=np.int64)


def similar(label: str, names: Sequence[str]) -> str:
    match = difflib.get_close_matches(label, names, n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""
