"""Ensembles: several video classifiers, whose probabilities are averaged, as one.

Shapes: B videos, V views of each, M members, T frames, C channels, H×W pixels, L labels.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModelForVideoClassification, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPoolingAndNoAttention
from transformers.models.auto.modeling_auto import MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING as CLASSIFIERS
from transformers.utils.generic import can_return_tuple

from muybridge.models.adapters import adapt
from muybridge.models.ensemble.configuration_ensemble import EnsembleConfig, check_labels
from muybridge.models.heads.averaging import has_softmax
from muybridge.models.loading import load_model, load_processor
from muybridge.models.video_base import VideoForClassification, VideoPreTrainedModel
from muybridge.processing import VideoProcessor


def get_clip_shape(name: str, network: Any) -> tuple[int, int, int, int]:
    """The frames, channels, height and width of what a member takes; one that takes anything but frames is refused."""
    shapes = list(network.input_shapes().values())
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise ValueError(f"{name} takes {', '.join(network.input_shapes())}; a member must take frames alone")
    frames, channels, height, width = shapes[0]
    return frames, channels, height, width


def choose_frames(videos: Tensor, num_frames: int) -> Tensor:
    """`num_frames` of the frames, evenly: frame k is `k × T // num_frames`."""
    given = videos.shape[1]
    if num_frames == given:
        return videos
    return videos[:, torch.arange(num_frames, device=videos.device) * given // num_frames]


def resize_frames(videos: Tensor, size: tuple[int, int]) -> Tensor:
    """Frames of this height and width, antialiased."""
    if tuple(videos.shape[-2:]) == size:
        return videos
    resized = F.interpolate(videos.flatten(0, 1).float(), size=size, mode="bilinear", antialias=True)
    return resized.unflatten(0, tuple(videos.shape[:2])).to(videos.dtype)


class EnsembleMember(nn.Module):
    """One classifier: the ensemble's videos (B, T, C, H, W) → the logarithms of its probabilities (B, L)."""

    def __init__(self, config: EnsembleConfig, index: int) -> None:
        super().__init__()
        member, member_config = config.members[index], config.make_member_configs()[index]
        self.network = adapt(AutoModelForVideoClassification.from_config(member_config))
        self.num_frames, _, *size = get_clip_shape(member["name"], self.network)
        self.height, self.width = size
        self.is_flipped = member.get("channel_order", "rgb") == "bgr"
        given = [list(config.image_mean), list(config.image_std)]
        if self.is_flipped:
            given = [values[::-1] for values in given]
        wanted = [list(member.get(name) or own) for name, own in zip(("image_mean", "image_std"), given, strict=True)]
        self.numbers = None if given == wanted else compute_renormalization(*given, *wanted)
        self.has_softmax = has_softmax(config)

    def prepare(self, videos: Tensor) -> Tensor:
        """The videos as this member takes them: the very same where nothing differs."""
        videos = resize_frames(choose_frames(videos, self.num_frames), (self.height, self.width))
        if self.is_flipped:
            videos = videos.flip(2)
        if self.numbers is None:
            return videos
        scale, shift = (torch.tensor(values, device=videos.device).view(-1, 1, 1) for values in self.numbers)
        return (videos * scale + shift).to(videos.dtype)

    def forward(self, videos: Tensor) -> Tensor:
        inputs = {self.network.main_input_name: self.prepare(videos)}
        logits = self.network(**inputs, return_dict=True).logits.float()
        return logits.log_softmax(dim=-1) if self.has_softmax else logits


def compute_renormalization(
    mean: Sequence[float], std: Sequence[float], new_mean: Sequence[float], new_std: Sequence[float]
) -> tuple[list[float], list[float]]:
    """By what pixels of one normalisation are multiplied, and what is added, to have those of another."""
    scale = [old / new for old, new in zip(std, new_std, strict=True)]
    shift = [(old - new) / spread for old, new, spread in zip(mean, new_mean, new_std, strict=True)]
    return scale, shift


class EnsemblePreTrainedModel(VideoPreTrainedModel):
    config: EnsembleConfig
    base_model_prefix = "ensemble"


class EnsembleModel(EnsemblePreTrainedModel):
    """The members, each a stage: (B, T, C, H, W) → pooler_output (B, D), the logarithms of all their probabilities.

    `last_hidden_state` is the same. Members run one after the other on the same videos.
    """

    def __init__(self, config: EnsembleConfig) -> None:
        super().__init__(config)
        members = [EnsembleMember(config, index) for index in range(len(config.members))]
        self.members = nn.ModuleList(members)
        self.sees_order = any(member.network.sees_order for member in members)
        self.post_init()

    def get_stages(self) -> list[nn.Module]:
        return list(self.members)

    @can_return_tuple
    def forward(
        self, pixel_values_videos: Tensor, output_hidden_states: bool | None = None
    ) -> BaseModelOutputWithPoolingAndNoAttention:
        self.check_inputs(pixel_values_videos=pixel_values_videos)
        scores = tuple(member(pixel_values_videos) for member in self.members)
        joined = torch.cat(scores, dim=-1)
        return BaseModelOutputWithPoolingAndNoAttention(
            last_hidden_state=joined,
            pooler_output=joined,
            hidden_states=scores if self.keeps_hidden_states(output_hidden_states) else None,
        )


class EnsembleForVideoClassification(EnsemblePreTrainedModel, VideoForClassification):
    """With its head "mean", softmax of the logits is the mean of the members' probabilities.

    Such a head has no weights, and training trains the members. `reset_head` gives it a linear one: the members stay as
    they are, labels and all, and the head sees the logarithms of their probabilities.
    """

    trunk_class = EnsembleModel

    def __init__(self, config: EnsembleConfig) -> None:
        super().__init__(config)
        self.sees_order = self.base_model.sees_order

    @classmethod
    def from_members(
        cls,
        members: Mapping[str, str | Path | PreTrainedModel],
        *,
        processors: Mapping[str, VideoProcessor] | None = None,
        **fields: Any,
    ) -> Self:
        """The ensemble of classifiers in memory, or in folders or on the Hub, under names.

        A folder's processor says how its member's pixels are normalised, and `processors` says it of others; a network
        in memory without one takes the ensemble's. `fields` are those of the config. What they leave out is: as many
        and as large frames as any member takes, and the numbers of the first one's processor. A network in memory is
        not copied: the ensemble shares its weights. The ensemble is in evaluation mode.
        """
        if not isinstance(members, Mapping):
            raise TypeError(f"members is a {type(members).__name__}; it must map names to folders or models")
        networks = {name: load_member(name, member) for name, member in members.items()}
        found = {name: find_processor(name, member) for name, member in members.items()}
        numbers = {name: get_pixel_numbers(each) for name, each in {**found, **(processors or {})}.items() if each}
        config = cls.config_class(**{**share_fields(networks, numbers), **fields})
        model = cls(config)
        for member, network in zip(model.base_model.members, networks.values(), strict=True):
            member.network = network
        return model.eval()

    def make_processor(self, image_processor: Any = None, **fields: Any) -> VideoProcessor:
        """The processor that this ensemble takes videos from: its config says how pixels are normalised."""
        numbers = {"image_mean": list(self.config.image_mean), "image_std": list(self.config.image_std)}
        return super().make_processor(image_processor, **{**numbers, **fields})


def load_member(name: str, member: str | Path | PreTrainedModel) -> PreTrainedModel:
    if isinstance(member, PreTrainedModel):
        if type(member.config) not in CLASSIFIERS or not isinstance(member, CLASSIFIERS[type(member.config)]):
            raise ValueError(
                f"{name} is a {type(member).__name__}; a member must be a video classifier, one that "
                "AutoModelForVideoClassification loads"
            )
        return adapt(member)
    return load_model(member, dtype=torch.float32)


def find_processor(name: str, member: str | Path | PreTrainedModel) -> VideoProcessor | None:
    if isinstance(member, PreTrainedModel):
        return None
    try:
        return load_processor(member)
    except (OSError, ValueError, ImportError) as error:
        raise ValueError(
            f"{name}: {member} has no video processor that tells how its pixels are normalised; load the network, and "
            f"pass it with processors={{{name!r}: …}}"
        ) from error


def get_pixel_numbers(processor: VideoProcessor) -> dict[str, Any]:
    """A member's numbers for pixels in [0, 1], as its processor has them."""
    largest = 255 * processor.rescale_factor if processor.do_rescale else 255.0
    num_channels = len(processor.image_mean)
    mean = processor.image_mean if processor.do_normalize else [0.0] * num_channels
    std = processor.image_std if processor.do_normalize else [1.0] * num_channels
    return {
        "image_mean": [value / largest for value in mean],
        "image_std": [value / largest for value in std],
        "channel_order": getattr(processor, "channel_order", "rgb"),
    }


def share_fields(networks: Mapping[str, Any], numbers: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The fields of an ensemble of these networks."""
    if not networks:
        raise ValueError("there are no members; an ensemble needs one or more")
    configs = {name: network.config for name, network in networks.items()}
    first, config = next(iter(configs.items()))
    for name, other in configs.items():
        check_labels(first, config.id2label, name, other.id2label)
    fields: dict[str, Any] = {
        "members": [{"name": name, "config": each, **numbers.get(name, {})} for name, each in configs.items()],
        "id2label": dict(config.id2label),
        "label2id": {label: index for index, label in config.id2label.items()},
        "num_channels": get_clip_shape(first, networks[first])[1],
    }
    shapes = [get_clip_shape(name, network) for name, network in networks.items()]
    fields |= {"num_frames": max(shape[0] for shape in shapes), "image_size": max(max(shape[2:]) for shape in shapes)}
    if first in numbers:
        own = numbers[first]
        is_flipped = own["channel_order"] == "bgr"
        fields |= {name: own[name][::-1] if is_flipped else own[name] for name in ("image_mean", "image_std")}
    return fields
