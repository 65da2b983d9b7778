"""The network that a run's settings name: a new one of an architecture, or that of a checkpoint; and its processor."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import PreTrainedModel

from muybridge.models.adapters import AdaptedClassifier
from muybridge.models.heads import name_labels
from muybridge.models.loading import load_model, load_processor
from muybridge.models.registry import ARCHITECTURES, Architecture

if TYPE_CHECKING:
    from muybridge.training.settings import TrainingSettings

Labels = Mapping[str, Sequence[str]]  # of each task


def make_classifier(
    settings: "TrainingSettings", tasks: Labels, *, problem_type: str | None = None
) -> tuple[PreTrainedModel, Any]:
    """A classifier for the labels of all tasks, and its processor."""
    architecture = ARCHITECTURES.get(settings.model)
    if architecture is None:
        return load_classifier(settings, tasks, problem_type)
    if architecture.task == "image-classification":
        takers = " or ".join(repr(name) for name, each in ARCHITECTURES.items() if each.takes_backbone)
        raise ValueError(
            f"{settings.model!r} is an architecture for images; put it on frames with model={takers} and "
            f"model_fields={{'backbone_config': {{'model_type': {settings.model!r}}}}}"
        )
    return make_new_classifier(settings, architecture, tasks, problem_type)


def make_trunk(settings: "TrainingSettings") -> tuple[PreTrainedModel, Any]:
    """A network without a head, and its processor."""
    if settings.model in ARCHITECTURES:
        network, processor = make_classifier(settings, {"none": ["a", "b"]})
    else:
        network = load_network(settings)
        with explain_fields():
            processor = load_processor(settings.model, **settings.processor_fields)
    return network.base_model, processor


def make_new_classifier(
    settings: "TrainingSettings", architecture: Architecture, tasks: Labels, problem_type: str | None
) -> tuple[PreTrainedModel, Any]:
    sizes = {"num_frames": settings.num_frames, "image_size": settings.image_size}
    fields: dict[str, Any] = {name: value for name, value in sizes.items() if value is not None}
    fields |= {} if problem_type is None else {"problem_type": problem_type}
    with explain_fields():
        config = architecture.config(**fields, **make_head_fields(settings, tasks), **settings.model_fields)
        network = architecture.task_model(config)
        return network, network.make_processor(**settings.processor_fields)


def load_classifier(
    settings: "TrainingSettings", tasks: Labels, problem_type: str | None
) -> tuple[PreTrainedModel, Any]:
    """That of a checkpoint, whose head stays where its labels are those of the data."""
    network = load_network(settings)
    if settings.num_frames or settings.image_size or settings.model_fields:
        raise ValueError(f"{settings.model} is a checkpoint: num_frames, image_size and model_fields are its own")
    config = network.config
    if [config.id2label[index] for index in range(config.num_labels)] != list_labels(tasks):
        network.reset_head(tasks if len(tasks) > 1 else list_labels(tasks))
    config.problem_type = problem_type
    if settings.dropout is not None:
        set_dropout(network, settings.dropout)
    with explain_fields():
        return network, load_processor(settings.model, **settings.processor_fields)


def load_network(settings: "TrainingSettings") -> PreTrainedModel:
    try:
        return load_model(settings.model)
    except OSError as error:
        known = ", ".join(name for name, each in ARCHITECTURES.items() if each.task != "image-classification")
        raise ValueError(
            f"{settings.model!r} is neither an architecture ({known}) nor a checkpoint: {error}"
        ) from error


def set_dropout(network: Any, dropout: float) -> None:
    """Sets the dropout of a network that was trained before, of its head and of the layers of its trunk that have one.

    Of a network of transformers it is the head's alone: its trunk has many kinds.
    """
    part = network.get_head() if isinstance(network, AdaptedClassifier) else network
    layers = [module for module in part.modules() if isinstance(module, nn.Dropout)]
    if not layers:
        raise ValueError(f"dropout is {dropout}, and {type(network).__name__} has none; leave it out")
    for layer in layers:
        layer.p = dropout
    head = getattr(network.config, "head", None)
    if head is not None:
        head.get("head", head)["dropout"] = dropout  # that of each task, where there are several


def make_head_fields(settings: "TrainingSettings", tasks: Labels) -> dict[str, Any]:
    """The fields of a config that say what head there is, and for which labels."""
    labels = list_labels(tasks)
    dropout = {} if settings.dropout is None else {"dropout": settings.dropout}
    head = dropout if len(tasks) == 1 else {"name": "multi_task", "tasks": tasks, "head": dropout}
    return {
        "head": head,
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
    }


def list_labels(tasks: Labels) -> list[str]:
    """The labels of a single task, or those of several with the task's name before each."""
    return list(next(iter(tasks.values()))) if len(tasks) == 1 else name_labels(tasks)


@contextmanager
def explain_fields() -> Iterator[None]:
    """Says what is wrong with fields of a config or a processor as with any other setting."""
    try:
        yield
    except (TypeError, StrictDataclassError) as error:
        raise ValueError(f"the settings do not make a network: {error}") from error
