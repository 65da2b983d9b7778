"""Which architectures there are, and how transformers' Auto classes find them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForImageClassification,
    AutoModelForVideoClassification,
    PreTrainedConfig,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
    MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES,
)
from transformers.models.auto.video_processing_auto import AutoVideoProcessor

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
    tiny_input: ClassVar[Mapping[str, int]]

    @property
    def name(self) -> str:
        return self.config.model_type

    def tiny_config(self, **fields: Any) -> NetworkConfig:
        """A config for tests and demonstrations: small images, few frames, three labels, weights of some kilobytes."""
        return self.config(**{**self.tiny_input, "num_labels": 3, **self.tiny, **fields})

    def register_classifier(self) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class VideoArchitecture(Architecture):
    task = "video-classification"
    auto_class = AutoModelForVideoClassification
    processor_class = AutoVideoProcessor
    tiny_input: ClassVar[Mapping[str, int]] = {"num_frames": 4, "image_size": 32}

    def register_classifier(self) -> None:
        AutoModelForVideoClassification.register(self.config, self.classifier)
        AutoVideoProcessor.register(self.config, self.processor)
        # The pipeline looks here, and not at what was registered, before it calls a model unsupported.
        MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES[self.name] = self.classifier.__name__


@dataclass(frozen=True)
class ImageArchitecture(Architecture):
    task = "image-classification"
    auto_class = AutoModelForImageClassification
    processor_class = AutoImageProcessor
    tiny_input: ClassVar[Mapping[str, int]] = {"image_size": 32}

    def register_classifier(self) -> None:
        AutoModelForImageClassification.register(self.config, self.classifier)
        # Ours needs none of the backends that transformers may ask for.
        backends = {"pil": self.processor, "torchvision": self.processor}
        AutoImageProcessor.register(self.config, image_processor_classes=backends)
        MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES[self.name] = self.classifier.__name__


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
    AutoConfig.register(architecture.name, architecture.config)
    AutoModel.register(architecture.config, architecture.model)
    architecture.register_classifier()


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
