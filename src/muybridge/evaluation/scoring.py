"""`evaluate`: how good a model is on videos with labels, under a protocol."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig, PreTrainedModel
from transformers.video_processing_utils import VideoProcessorMixin

from muybridge.data import VideoRecord
from muybridge.evaluation.collecting import run_views
from muybridge.evaluation.protocols import get_protocol
from muybridge.evaluation.provenance import describe_model, versions
from muybridge.evaluation.results import Result
from muybridge.evaluation.scores import Scores
from muybridge.evaluation.truth import Truth, get_data_labels, refuse_unknown_labels
from muybridge.inference import Loading
from muybridge.models.adapters import adapt
from muybridge.models.heads import get_tasks
from muybridge.models.loading import load_model, load_processor
from muybridge.types import Protocol


def evaluate(
    model: PreTrainedModel | str | Path,
    data: Iterable[VideoRecord],
    protocol: Protocol | str | None = None,
    *,
    processor: VideoProcessorMixin | None = None,
    task: str | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    unreadable_are_wrong: bool = True,
    provenance: Mapping[str, Any] | None = None,
    **loading: Any,
) -> Result:
    """The result of a model on videos, whose labels it must know by name, whatever their order.

    model: a model, a folder or a name on the Hub; it runs on the device it is on.
    data: records, a stream, or any iterator of records.
    protocol: a protocol, or the name of one in PROTOCOLS; by default the one that the model's config states.
    processor: by default the one saved with the model.
    task: which task of a model of several is judged; by default the one whose labels are those of the data.
    groups: labels by the name of their group, for a mean average precision of each.
    unreadable_are_wrong: False leaves videos that cannot be read out of the numbers; they are listed all the same.
    provenance: what else the result is to say of itself, such as where the data came from.
    loading: `batch_size`, `num_workers` and `errors`, see `Loading`.

    Under `accelerate launch` the processes share the videos, and each gets the whole result.
    """
    start = time.perf_counter()
    scores = score(
        model, data, protocol, processor=processor, task=task, provenance=provenance, loading=Loading(**loading)
    )
    return Result(scores, groups or {}, unreadable_are_wrong, seconds=time.perf_counter() - start)


def score(
    model: PreTrainedModel | str | Path,
    data: Iterable[VideoRecord],
    protocol: Protocol | str | None = None,
    *,
    processor: VideoProcessorMixin | None = None,
    task: str | None = None,
    provenance: Mapping[str, Any] | None = None,
    loading: Loading | None = None,
) -> Scores:
    """What a model says of every view of every video; the arguments are those of `evaluate`."""
    model, processor = load(model, processor)
    is_multi_label = has_label_sets(model.config)
    protocol = get_protocol(protocol, model.config)
    if is_multi_label:  # the probabilities of a label in several views do not exclude those of another
        protocol = replace(protocol, aggregation="logits")
    task = choose_task(model.config, task, data, is_multi_label=is_multi_label)
    names, columns = list_labels(model.config, task)
    refuse_unknown_labels(data, names, is_multi_label=is_multi_label)
    truth = Truth(names, is_multi_label=is_multi_label)
    outputs = run_views(
        lambda **inputs: {"logits": model(**inputs).logits[:, columns]},
        model,
        processor,
        data,
        protocol,
        truth,
        loading or Loading(),
        title="scoring",
    )
    about = {
        **describe_model(model),
        **({"task": task} if task else {}),
        **versions(),
        "num_absent": len(getattr(data, "absent", ())),
        **(provenance or {}),
    }
    labels = truth.labels.astype(bool) if is_multi_label else truth.labels
    return Scores(truth.videos, labels, names, outputs.values, protocol, outputs.unreadable, about)


def load(
    model: PreTrainedModel | str | Path, processor: VideoProcessorMixin | None
) -> tuple[PreTrainedModel, VideoProcessorMixin]:
    """The model, and the processor that was saved with it where none is given."""
    model = load_model(model) if isinstance(model, str | Path) else adapt(model)
    if processor is None:
        if not model.config.name_or_path:
            raise ValueError("the model was not loaded from a checkpoint, so it has no processor; pass processor=")
        processor = load_processor(model.config.name_or_path)
    return model, processor


def choose_task(config: PreTrainedConfig, task: str | None, data: Any, *, is_multi_label: bool) -> str | None:
    """The task that is asked for, or the only one that knows the labels of the data; None where there are no tasks."""
    tasks = get_tasks(config)
    if task is not None and task not in tasks:
        known = ", ".join(map(repr, tasks)) or "no tasks, for its head is of a single one"
        raise ValueError(f"the task is {task!r}; the model has {known}")
    if task is not None or not tasks:
        return task
    wanted = set(get_data_labels(data, is_multi_label=is_multi_label))
    fitting = [name for name, labels in tasks.items() if wanted and wanted <= set(labels)]
    if len(fitting) != 1:
        raise ValueError(
            f"the model has the tasks {', '.join(map(repr, tasks))}, and the labels of the data are those of "
            f"{' and '.join(map(repr, fitting)) or 'none'}; say with task= which one is to be judged"
        )
    return fitting[0]


def list_labels(config: PreTrainedConfig, task: str | None) -> tuple[list[str], slice]:
    """The names of a model's labels, or of one of its tasks, and where they are among its outputs."""
    if task is None:
        return [config.id2label[index] for index in range(config.num_labels)], slice(None)
    start = 0
    for name, labels in get_tasks(config).items():
        if name == task:
            break
        start += len(labels)
    return list(labels), slice(start, start + len(labels))


def has_label_sets(config: PreTrainedConfig) -> bool:
    """Whether the labels of a model do not exclude each other, so that a video may have several or none."""
    return config.problem_type == "multi_label_classification"
