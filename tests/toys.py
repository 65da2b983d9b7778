"""Networks that a contributor might add: of two inputs, of sound alone, and one that finds objects.

They are registered from here, as from any other package, and for as long as a test wants them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention, ImageClassifierOutputWithNoAttention
from transformers.utils import ModelOutput
from transformers.utils.generic import can_return_tuple

from muybridge.models import auto_tables
from muybridge.models.base import NetworkConfig, NetworkForClassification, NetworkPreTrainedModel, run_stages
from muybridge.models.image_base import ImageConfig, ImagePreTrainedModel
from muybridge.models.inputs import Shape
from muybridge.models.registry import (
    ARCHITECTURES,
    TASKS,
    Architecture,
    Paper,
    Task,
    register,
    register_task,
)
from muybridge.models.video_base import VideoConfig
from muybridge.processing import ImageProcessor, JointProcessor, SoundProcessor, VideoProcessor

# Sound alone


@strict
class ToySoundConfig(NetworkConfig):
    model_type: ClassVar[str] = "toy_sound"

    num_samples: int = 4000

    def default_hidden_size(self) -> int:
        return 8

    def input_shapes(self) -> dict[str, Shape]:
        return {"input_values": (self.num_samples,)}


class Block(GradientCheckpointingLayer):
    """Layers whose inner values are computed again where memory is short."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.layers(hidden)


def listen(channels: int) -> list[Block]:
    return [
        Block(nn.Unflatten(1, (1, -1)), nn.Conv1d(1, channels, 8, stride=4), nn.ReLU()),
        Block(nn.Conv1d(channels, channels, 4, stride=2), nn.ReLU()),
    ]


class ToySoundPreTrainedModel(NetworkPreTrainedModel):
    config: ToySoundConfig
    base_model_prefix = "toy_sound"
    main_input_name = "input_values"
    input_modalities = ("audio",)


class ToySoundModel(ToySoundPreTrainedModel):
    def __init__(self, config: ToySoundConfig) -> None:
        super().__init__(config)
        self.stages = nn.ModuleList(listen(config.default_hidden_size()))
        self.post_init()

    def get_stages(self) -> list[nn.Module]:
        return list(self.stages)

    @can_return_tuple
    def forward(
        self, input_values: Tensor, output_hidden_states: bool | None = None
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        self.check_inputs(input_values=input_values)
        keep = self.keeps_hidden_states(output_hidden_states)
        hidden, hidden_states = run_stages(self.stages, input_values, keep)
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=hidden, pooler_output=hidden.mean(dim=2), hidden_states=hidden_states
        )


class ToySoundForVideoClassification(ToySoundPreTrainedModel, NetworkForClassification):
    trunk_class = ToySoundModel

    def make_processor(self, **fields: Any) -> SoundProcessor:
        return SoundProcessor(**{"num_samples": self.config.num_samples, **fields})

    @can_return_tuple
    def forward(
        self,
        input_values: Tensor,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        num_items_in_batch: Tensor | int | None = None,
    ) -> ImageClassifierOutputWithNoAttention:
        return self.classify({"input_values": input_values}, labels, output_hidden_states, num_items_in_batch)


# Videos and their sound


@strict
class ToyVideoAndSoundConfig(VideoConfig):
    model_type: ClassVar[str] = "toy_video_and_sound"

    num_samples: int = 4000

    def default_hidden_size(self) -> int:
        return 16

    def input_shapes(self) -> dict[str, Shape]:
        return {**super().input_shapes(), "input_values": (self.num_samples,)}


class ToyVideoAndSoundPreTrainedModel(NetworkPreTrainedModel):
    config: ToyVideoAndSoundConfig
    base_model_prefix = "toy_video_and_sound"
    main_input_name = "pixel_values_videos"
    input_modalities = ("video", "audio")
    sees_order = True


class ToyVideoAndSoundModel(ToyVideoAndSoundPreTrainedModel):
    def __init__(self, config: ToyVideoAndSoundConfig) -> None:
        super().__init__(config)
        self.seeing = Block(
            nn.Conv3d(config.num_channels, 8, 3, stride=(1, 4, 4), bias=False), nn.BatchNorm3d(8), nn.ReLU()
        )
        self.hearing = nn.Sequential(*listen(8))
        self.post_init()

    def get_stages(self) -> list[nn.Module]:
        return [self.seeing, self.hearing]

    @can_return_tuple
    def forward(
        self, pixel_values_videos: Tensor, input_values: Tensor, output_hidden_states: bool | None = None
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        self.check_inputs(pixel_values_videos=pixel_values_videos, input_values=input_values)
        seen = self.seeing(pixel_values_videos.transpose(1, 2))
        heard = self.hearing(input_values)
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=seen,
            pooler_output=torch.cat([seen.mean(dim=(2, 3, 4)), heard.mean(dim=2)], dim=1),
            hidden_states=(seen, heard) if self.keeps_hidden_states(output_hidden_states) else None,
        )


class ToyVideoAndSoundForVideoClassification(ToyVideoAndSoundPreTrainedModel, NetworkForClassification):
    trunk_class = ToyVideoAndSoundModel

    def make_processor(self, **fields: Any) -> JointProcessor:
        side, num_frames = self.config.image_size, self.config.num_frames
        square = {"height": side, "width": side}
        parts = {
            "pixel_values_videos": VideoProcessor(size=square, crop_size=square, num_frames=num_frames),
            "input_values": SoundProcessor(num_samples=self.config.num_samples),
        }
        return JointProcessor(parts=parts, **fields)

    @can_return_tuple
    def forward(
        self,
        pixel_values_videos: Tensor,
        input_values: Tensor,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        num_items_in_batch: Tensor | int | None = None,
    ) -> ImageClassifierOutputWithNoAttention:
        inputs = {"pixel_values_videos": pixel_values_videos, "input_values": input_values}
        return self.classify(inputs, labels, output_hidden_states, num_items_in_batch)


# Objects in images


@strict
class ToyDetectorConfig(ImageConfig):
    model_type: ClassVar[str] = "toy_detector"

    def default_hidden_size(self) -> int:
        return 8


@dataclass
class ToyDetectorOutput(ModelOutput):
    """`logits` (B, Q, L) and `pred_boxes` (B, Q, 4) of Q places."""

    logits: Tensor | None = None
    pred_boxes: Tensor | None = None


class ToyDetectorPreTrainedModel(ImagePreTrainedModel):
    config: ToyDetectorConfig
    base_model_prefix = "toy_detector"


class ToyDetectorModel(ToyDetectorPreTrainedModel):
    def __init__(self, config: ToyDetectorConfig) -> None:
        super().__init__(config)
        self.stage = nn.Conv2d(config.num_channels, 8, 8, stride=8)
        self.post_init()

    def get_stages(self) -> list[nn.Module]:
        return [self.stage]

    @can_return_tuple
    def forward(
        self, pixel_values: Tensor, output_hidden_states: bool | None = None
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        hidden = self.stage(self.check_inputs(pixel_values=pixel_values)["pixel_values"])
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=hidden,
            pooler_output=hidden.mean(dim=(2, 3)),
            hidden_states=(hidden,) if self.keeps_hidden_states(output_hidden_states) else None,
        )


class ToyDetectorForObjectDetection(ToyDetectorPreTrainedModel):
    def __init__(self, config: ToyDetectorConfig) -> None:
        super().__init__(config)
        self.toy_detector = ToyDetectorModel(config)
        self.classes = nn.Linear(8, config.num_labels)
        self.boxes = nn.Linear(8, 4)
        self.post_init()

    @can_return_tuple
    def forward(self, pixel_values: Tensor) -> ToyDetectorOutput:
        places = self.toy_detector(pixel_values).last_hidden_state.flatten(2).transpose(1, 2)  # (B, Q, D)
        return ToyDetectorOutput(logits=self.classes(places), pred_boxes=self.boxes(places).sigmoid())


class ToyDetectorImageProcessor(ImageProcessor):
    size: ClassVar[dict[str, int]] = {"height": 32, "width": 32}
    crop_size: ClassVar[dict[str, int]] = {"height": 32, "width": 32}


# Their registration

OBJECT_DETECTION = Task(
    name="object-detection",
    auto_class="transformers:AutoModelForObjectDetection",
    auto_processor="transformers:AutoImageProcessor",
    network_table=f"{auto_tables.MODELS}.auto.modeling_auto:MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES",
    processor_table=auto_tables.IMAGE_PROCESSORS,
    class_suffix="ForObjectDetection",
    processor_suffix="ImageProcessor",
    thing="image",
    file="picture.jpg",
    unit="an image",
    verb="detect",
    limits="Objects in {0}s may be missed.",
    tiny_input={"image_size": 32},
)
PAPER = Paper("A network made for a test", "Nobody", 2024, "https://example.org")
SOUND = Architecture(
    name="toy_sound", title="Toy of sound", prefix="ToySound", package=__name__, input_size="4000", papers=[PAPER],
    tiny={"num_samples": 400}, processor_place="muybridge.processing:SoundProcessor",
)  # fmt: skip
VIDEO_AND_SOUND = Architecture(
    name="toy_video_and_sound", title="Toy of video and sound", prefix="ToyVideoAndSound", package=__name__,
    input_size="16×112×112 + 4000", papers=[PAPER], tiny={"num_samples": 400},
    processor_place="muybridge.processing:JointProcessor",
)  # fmt: skip
DETECTOR = Architecture(
    name="toy_detector", title="Toy that finds objects", prefix="ToyDetector", package=__name__,
    task="object-detection", input_size="224×224", papers=[PAPER],
)  # fmt: skip


@contextmanager
def registered(*architectures: Architecture) -> Iterator[None]:
    """The architectures and their task are known as long as this lasts; transformers does not forget them."""
    register_task(OBJECT_DETECTION)
    for architecture in architectures:
        register(architecture)
    try:
        yield
    finally:
        for architecture in architectures:
            del ARCHITECTURES[architecture.name]
        del TASKS[OBJECT_DETECTION.name]
