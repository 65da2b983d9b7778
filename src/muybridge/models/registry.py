"""Which architectures there are, and how transformers' Auto classes find them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    AutoModelForVideoClassification,
    PreTrainedConfig,
)
from transformers.models.auto.video_processing_auto import AutoVideoProcessor

from muybridge.models import auto_tables
from muybridge.models.base import NetworkConfig, NetworkForClassification, NetworkPreTrainedModel
from muybridge.processing import ImageProcessor, VideoProcessor


@dataclass(frozen=True)
class Paper:
    """Where a thing was published."""

    title: str
    authors: str
    year: int
    url: str


@dataclass(frozen=True)
class Architecture:
    """An architecture's classes, its papers, and the config fields that make a network small enough for a test."""

    title: str
    config: type[NetworkConfig]
    model: type[NetworkPreTrainedModel]
    classifier: type[NetworkForClassification]
    processor: type[ImageProcessor] | type[VideoProcessor]
    papers: Sequence[Paper]
    tiny: Mapping[str, Any]

    task: ClassVar[str]  # what pipeline() calls it
    auto_class: ClassVar[Any]  # which loads a classifier
    processor_class: ClassVar[Any]  # which loads a processor
    classifier_table: ClassVar[str]  # where transformers looks for its name
    processor_table: ClassVar[str]
    tiny_input: ClassVar[Mapping[str, int]]

    @property
    def name(self) -> str:
        return self.config.model_type

    def tiny_config(self, **fields: Any) -> NetworkConfig:
        """A config for tests and demonstrations: small images, few frames, three labels, weights of some kilobytes."""
        return self.config(**{**self.tiny_input, "num_labels": 3, **self.tiny, **fields})

    def find_class(self, name: str) -> type:
        """Its class of that name."""
        classes = (self.config, self.model, self.classifier, self.processor)
        found = next((each for each in classes if each.__name__ == name), None)
        if found is None:
            raise AttributeError(
                f"{self.name} has no class {name}; it has {', '.join(each.__name__ for each in classes)}"
            )
        return found


@dataclass(frozen=True)
class VideoArchitecture(Architecture):
    task = "video-classification"
    auto_class = AutoModelForVideoClassification
    processor_class = AutoVideoProcessor
    classifier_table = auto_tables.VIDEO_CLASSIFIERS
    processor_table = auto_tables.VIDEO_PROCESSORS
    tiny_input: ClassVar[Mapping[str, int]] = {"num_frames": 4, "image_size": 32}


@dataclass(frozen=True)
class ImageArchitecture(Architecture):
    task = "image-classification"
    auto_class = AutoModelForImageClassification
    processor_class = AutoImageProcessor
    classifier_table = auto_tables.IMAGE_CLASSIFIERS
    processor_table = auto_tables.IMAGE_PROCESSORS
    tiny_input: ClassVar[Mapping[str, int]] = {"image_size": 32}


@dataclass(frozen=True)
class ForeignImageArchitecture(ImageArchitecture):
    """An architecture of transformers' own, for which weights of others are converted."""

    def input_shape(self, config: PreTrainedConfig) -> tuple[int, ...]:
        crop = self.processor.crop_size
        return config.num_channels, crop["height"], crop["width"]


ARCHITECTURES: dict[str, Architecture] = {}
FOREIGN_ARCHITECTURES: dict[str, ForeignImageArchitecture] = {}


def register(architecture: Architecture) -> None:
    """Makes an architecture known here and to AutoConfig, AutoModel, the Auto class of its task and pipeline()."""
    ARCHITECTURES[architecture.name] = architecture
    names = {
        auto_tables.CONFIGS: architecture.config.__name__,
        auto_tables.NETWORKS: architecture.model.__name__,
        architecture.classifier_table: architecture.classifier.__name__,
        architecture.processor_table: architecture.processor.__name__,
    }
    auto_tables.add_names(architecture.name, names, architecture.find_class)


def register_foreign(architecture: ForeignImageArchitecture) -> None:
    """Makes an architecture known here alone: transformers knows it."""
    FOREIGN_ARCHITECTURES[architecture.name] = architecture


def is_known(name: str) -> bool:
    """Whether `get_architecture` knows it."""
    return name in ARCHITECTURES or name in FOREIGN_ARCHITECTURES


def get_architecture(name: str) -> Architecture:
    """The architecture of this `model_type`, whether it is ours or transformers'."""
    return ARCHITECTURES.get(name) or FOREIGN_ARCHITECTURES[name]


def input_shape_of(config: PreTrainedConfig) -> tuple[int, ...]:
    """The shape of one input of the network, without the batch."""
    foreign = FOREIGN_ARCHITECTURES.get(config.model_type)
    return foreign.input_shape(config) if foreign else config.input_shape()


def video_architectures() -> dict[str, VideoArchitecture]:
    return {name: each for name, each in ARCHITECTURES.items() if isinstance(each, VideoArchitecture)}


def image_architectures() -> dict[str, ImageArchitecture]:
    return {name: each for name, each in ARCHITECTURES.items() if isinstance(each, ImageArchitecture)}
