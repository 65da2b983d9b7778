"""Which architectures there are, and how transformers' Auto classes find them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import AutoConfig, AutoModel, AutoModelForVideoClassification
from transformers.models.auto.modeling_auto import MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES
from transformers.models.auto.video_processing_auto import AutoVideoProcessor

from muybridge.models.base import VideoConfig, VideoForClassification, VideoPreTrainedModel
from muybridge.processing import VideoProcessor


@dataclass(frozen=True)
class Paper:
    """Where a thing was published."""

    title: str
    authors: str
    year: int
    url: str


@dataclass(frozen=True)
class VideoArchitecture:
    """An architecture's classes, its papers, and the config fields that make a network small enough for a test."""

    title: str
    config: type[VideoConfig]
    model: type[VideoPreTrainedModel]
    classifier: type[VideoForClassification]
    processor: type[VideoProcessor]
    papers: Sequence[Paper]
    tiny: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.config.model_type

    def tiny_config(self, **fields: Any) -> VideoConfig:
        """A config for tests and demonstrations: 4 frames of 32×32, three labels, weights of a few kilobytes."""
        return self.config(**{"num_frames": 4, "image_size": 32, "num_labels": 3, **self.tiny, **fields})


ARCHITECTURES: dict[str, VideoArchitecture] = {}


def register(architecture: VideoArchitecture) -> None:
    """Makes an architecture known here and to AutoConfig, AutoModel, AutoModelForVideoClassification and pipeline()."""
    ARCHITECTURES[architecture.name] = architecture
    config = architecture.config
    AutoConfig.register(architecture.name, config)
    AutoModel.register(config, architecture.model)
    AutoModelForVideoClassification.register(config, architecture.classifier)
    AutoVideoProcessor.register(config, architecture.processor)
    # The pipeline looks here, and not at what was registered, before it calls a model unsupported.
    MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES[architecture.name] = architecture.classifier.__name__
