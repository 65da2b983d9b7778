"""Which tasks and architectures there are, and how transformers' Auto classes come to know them.

Nothing here loads torch or transformers: classes are named, and imported when they are asked for. Places are written
"module:name".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any

from muybridge.models import auto_tables

TRANSFORMERS = "transformers"
CLASSIFIER_LIMITS = (
    "Every {0} gets one of the labels, also one that none of them describes. The results hold for {0}s like those "
    "that they were measured on: other cameras, places and people may give worse ones. No decision about a person "
    "should rest on a label that nobody looked at."
)


@dataclass(frozen=True)
class Paper:
    """Where a thing was published."""

    title: str
    authors: str
    year: int
    url: str


# Tasks


@dataclass(frozen=True)
class Task:
    """What networks are for: which classes of transformers load them, and the words in which cards speak of them.

    `auto_class` loads networks and `auto_processor` processors; `network_table` and `processor_table` are the tables of
    transformers (see `auto_tables`) in which these, and pipeline(), look for the names of classes. An architecture's
    classes end in `class_suffix` and `processor_suffix`. `tiny_input` are the config fields of small inputs.
    """

    name: str  # what pipeline() and the Hub call it
    auto_class: str
    auto_processor: str
    network_table: str
    processor_table: str
    class_suffix: str
    processor_suffix: str
    thing: str  # what a network is given, "video"
    file: str  # the name of such a file, "clip.mp4"
    unit: str  # what its cost is counted for, "a clip"
    verb: str  # what a pipeline does, "classify"
    limits: str  # what it should not be used for, in words; {0} is the thing
    tiny_input: Mapping[str, Any] = field(default_factory=dict)

    def get_auto_class(self) -> Any:
        return resolve_name(self.auto_class)

    def get_auto_processor(self) -> Any:
        return resolve_name(self.auto_processor)

    def get_network_names(self) -> dict[str, str]:
        """The names of network classes by model type, ours and transformers'."""
        return resolve_name(self.network_table)


TASKS: dict[str, Task] = {}


def register_task(task: Task) -> None:
    TASKS[task.name] = task


register_task(
    Task(
        name="video-classification",
        auto_class="transformers:AutoModelForVideoClassification",
        auto_processor="transformers.models.auto.video_processing_auto:AutoVideoProcessor",
        network_table=auto_tables.VIDEO_CLASSIFIERS,
        processor_table=auto_tables.VIDEO_PROCESSORS,
        class_suffix="ForVideoClassification",
        processor_suffix="VideoProcessor",
        thing="video",
        file="clip.mp4",
        unit="a clip",
        verb="classify",
        limits=CLASSIFIER_LIMITS,
        tiny_input={"num_frames": 4, "image_size": 32},
    )
)
register_task(
    Task(
        name="image-classification",
        auto_class="transformers:AutoModelForImageClassification",
        auto_processor="transformers:AutoImageProcessor",
        network_table=auto_tables.IMAGE_CLASSIFIERS,
        processor_table=auto_tables.IMAGE_PROCESSORS,
        class_suffix="ForImageClassification",
        processor_suffix="ImageProcessor",
        thing="image",
        file="picture.jpg",
        unit="an image",
        verb="classify",
        limits=CLASSIFIER_LIMITS,
        tiny_input={"image_size": 32},
    )
)


# Architectures


@dataclass(frozen=True)
class Architecture:
    """What is known of an architecture before it is loaded, and where its classes are.

    `package` has the classes `prefix`Config, `prefix`Model (the trunk) and `prefix`ForVideoClassification, or whatever
    the task says. `input_size` is the input of the default config. `tiny` are the config fields of a network small
    enough for a test.

    `processor_place` is where its processor is; by default it is `prefix`VideoProcessor in the package. Of a network of
    transformers, `processor_fields` are the numbers of transformers' processor, for checkpoints that do not state them.
    `inflated_from` is the name of an architecture for images whose filters it can be made of, as the module
    `inflation_<name>` of the package says. `takes_backbone` says whether its config has a `backbone_config`, the
    encoder of images that it puts on frames.
    """

    name: str  # the model_type of its config
    title: str
    prefix: str
    package: str
    papers: Sequence[Paper] = ()
    input_size: str = ""
    task: str = "video-classification"
    tiny: Mapping[str, Any] = field(default_factory=dict)
    processor_place: str | None = None
    processor_fields: Mapping[str, Any] = field(default_factory=dict)
    inflated_from: str | None = None
    takes_backbone: bool = False

    def get_task(self) -> Task:
        return TASKS[self.task]

    def get_class(self, suffix: str) -> Any:
        return resolve_name(f"{self.package}:{self.prefix}{suffix}")

    @property
    def config(self) -> Any:
        return self.task_model.config_class if self.package == TRANSFORMERS else self.get_class("Config")

    @property
    def model(self) -> Any:
        """The class of its trunk."""
        return self.get_class("Model")

    @property
    def task_model(self) -> Any:
        """The class that its task's Auto class loads: a trunk with a head."""
        return self.get_class(self.get_task().class_suffix)

    @property
    def processor_name(self) -> str:
        if self.processor_place:
            return self.processor_place.partition(":")[2]
        return f"{self.prefix}{self.get_task().processor_suffix}"

    @property
    def processor(self) -> Any:
        return resolve_name(self.processor_place or f"{self.package}:{self.processor_name}")

    def find_class(self, name: str) -> Any:
        """The class of this name: its processor, or one of its package."""
        return self.processor if name == self.processor_name else resolve_name(f"{self.package}:{name}")

    def tiny_config(self, **fields: Any) -> Any:
        """A config for tests and demonstrations: small images, few frames, three labels, weights of some kilobytes."""
        known = self.config.__dataclass_fields__
        small = {name: value for name, value in self.get_task().tiny_input.items() if name in known}
        return self.config(**{**small, "num_labels": 3, **self.tiny, **fields})


ARCHITECTURES: dict[str, Architecture] = {}
# Those of transformers, of which something is to be said that transformers does not say.
FOREIGN_ARCHITECTURES: dict[str, Architecture] = {}


def register(architecture: Architecture) -> None:
    """Makes an architecture known here, and to AutoConfig, AutoModel, the Auto class of its task and pipeline()."""
    ARCHITECTURES[architecture.name] = architecture
    task, prefix = architecture.get_task(), architecture.prefix
    names = {
        auto_tables.CONFIGS: f"{prefix}Config",
        auto_tables.NETWORKS: f"{prefix}Model",
        task.network_table: f"{prefix}{task.class_suffix}",
        task.processor_table: architecture.processor_name,
    }
    auto_tables.add_names(architecture.name, names, architecture.find_class)


def register_foreign(architecture: Architecture) -> None:
    """Adds what is known of an architecture of transformers."""
    FOREIGN_ARCHITECTURES[architecture.name] = architecture


def list_architectures(task: str) -> dict[str, Architecture]:
    """Our architectures for a task, by name."""
    return {name: each for name, each in ARCHITECTURES.items() if each.task == task}


def find_architecture(name: str) -> Architecture | None:
    """The architecture of this `model_type`: ours, or one of transformers' for one of the tasks."""
    return ARCHITECTURES.get(name) or FOREIGN_ARCHITECTURES.get(name) or find_in_transformers(name)


def find_in_transformers(name: str) -> Architecture | None:
    for task in TASKS.values():
        class_name = task.get_network_names().get(name)
        if class_name and class_name.endswith(task.class_suffix):
            prefix = class_name.removesuffix(task.class_suffix)
            return Architecture(name, title=prefix, prefix=prefix, package=TRANSFORMERS, task=task.name)
    return None


def get_architecture(name: str) -> Architecture:
    architecture = find_architecture(name)
    if architecture is None:
        known = ", ".join([*ARCHITECTURES, *FOREIGN_ARCHITECTURES])
        raise ValueError(f"the architecture {name!r} is not known; known are {known}, and those of transformers for "
                         f"{', '.join(TASKS)}")  # fmt: skip
    return architecture
