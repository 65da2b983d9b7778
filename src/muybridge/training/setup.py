"""The model, the processor and the data that a run's settings name."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, AutoModelForVideoClassification
from transformers.models.auto.video_processing_auto import AutoVideoProcessor

from muybridge.data import VideoRecords, load_videos
from muybridge.data.loading import name_data
from muybridge.models.registry import image_architectures, video_architectures
from muybridge.models.video_base import VideoConfig, VideoForClassification
from muybridge.processing import VideoProcessor
from muybridge.training.learner import Task, tasks_of
from muybridge.training.settings import TrainingSettings

EVALUATION_SPLITS = ("test", "val", "validation")  # in this order, where the settings name none


@dataclass(frozen=True)
class TaskData:
    """One data set: what is trained on, and what is evaluated on where there is such a split."""

    name: str
    training: VideoRecords
    evaluation: VideoRecords | None
    evaluation_split: str | None = None


def load_data(settings: TrainingSettings) -> list[TaskData]:
    loaded = []
    for source in settings.data:
        records = load_videos(source)
        name = settings.evaluation_split or next((name for name in EVALUATION_SPLITS if name in records.splits), None)
        training = records.with_split(settings.split) if records.splits else records
        loaded.append(TaskData(name_data(source), training, records.with_split(name) if name else None, name))
    names = [task.name for task in loaded]
    if len(set(names)) < len(names):
        raise ValueError(f"the data sets are called {', '.join(names)}; rename a folder, for each gets a classifier")
    return loaded


def make_model(settings: TrainingSettings, tasks: Sequence[Task]) -> tuple[VideoForClassification, VideoProcessor]:
    """A new network of an architecture, or a checkpoint with its own processor; with the labels of all tasks."""
    labels = [label if len(tasks) == 1 else f"{task.name}: {label}" for task in tasks for label in task.labels]
    if settings.model in video_architectures():
        return new_model(settings, labels)
    if settings.model in image_architectures():
        raise ValueError(
            f"{settings.model!r} is an architecture for images; put it on frames with model='frame_pooling' or 'lrcn' "
            f"and model_fields={{'backbone_config': {{'model_type': {settings.model!r}}}}}"
        )
    return pretrained_model(settings, labels)


def new_model(settings: TrainingSettings, labels: Sequence[str]) -> tuple[VideoForClassification, VideoProcessor]:
    architecture = video_architectures()[settings.model]
    sizes = {"num_frames": settings.num_frames, "image_size": settings.image_size}
    given = {name: value for name, value in sizes.items() if value is not None}
    with stated_fields():
        config = architecture.config(
            **given, **dropout_field(settings), **settings.model_fields, **label_fields(labels)
        )
    size_fields = architecture.processor.size_fields(config.image_size)
    processor_fields = {"num_frames": config.num_frames, **size_fields, **settings.processor_fields}
    with stated_fields():
        return architecture.classifier(config), architecture.processor(**processor_fields)


@contextmanager
def stated_fields() -> Iterator[None]:
    """Says what is wrong with fields of a config or a processor as with any other setting."""
    try:
        yield
    except (TypeError, StrictDataclassError) as error:
        raise ValueError(f"the settings do not make a network: {error}") from error


def pretrained_model(
    settings: TrainingSettings, labels: Sequence[str]
) -> tuple[VideoForClassification, VideoProcessor]:
    """A checkpoint, whose classifier stays where its labels are those of the data."""
    try:
        config = AutoConfig.from_pretrained(settings.model)
    except OSError as error:
        known = ", ".join(video_architectures())
        raise ValueError(
            f"{settings.model!r} is neither an architecture ({known}) nor a checkpoint: {error}"
        ) from error
    if not isinstance(config, VideoConfig):
        known = ", ".join(video_architectures())
        raise ValueError(f"{settings.model} is a {config.model_type}; this loop trains checkpoints of {known}")
    if settings.num_frames or settings.image_size or settings.model_fields:
        raise ValueError(f"{settings.model} is a checkpoint: num_frames, image_size and model_fields are its own")
    model = AutoModelForVideoClassification.from_pretrained(settings.model, **dropout_field(settings))
    if [model.config.id2label[index] for index in range(model.config.num_labels)] != list(labels):
        model.reset_classifier(labels)
    with stated_fields():
        return model, AutoVideoProcessor.from_pretrained(settings.model, **settings.processor_fields)


def label_fields(labels: Sequence[str]) -> dict[str, Any]:
    return {"id2label": dict(enumerate(labels)), "label2id": {label: index for index, label in enumerate(labels)}}


def dropout_field(settings: TrainingSettings) -> dict[str, float]:
    return {} if settings.dropout is None else {"classifier_dropout": settings.dropout}


def make_tasks(data: Sequence[TaskData]) -> list[Task]:
    return tasks_of([task.name for task in data], [task.training.labels for task in data])
