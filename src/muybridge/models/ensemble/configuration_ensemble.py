"""Config of ensembles of video classifiers."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig

from muybridge.models.video_base import VideoConfig

Values = list[float] | tuple[float, ...]  # one a channel
Labels = Mapping[Any, str]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MEMBER_FIELDS = ("name", "config", "image_mean", "image_std", "channel_order")
DEFAULT_MEMBERS: tuple[dict[str, Any], ...] = (
    {"name": "r3d", "config": {"model_type": "video_resnet"}},
    {"name": "r2plus1d", "config": {"model_type": "video_resnet", "convolutions": ["2plus1d"] * 4}},
)


@strict
class EnsembleConfig(VideoConfig):
    """Any video classifiers, of ours or of transformers, whose probabilities are averaged.

    `members` lists them: a `name`, a `config` (or its fields with `model_type`), and what their pixels are, where that
    differs from the ensemble's: `image_mean` and `image_std` of pixels in [0, 1], and `channel_order`, "rgb" or "bgr",
    in which these stand too. The ensemble takes `num_frames` frames of `image_size`, normalised by its own `image_mean`
    and `image_std`, red first; each member is handed as many frames as its config says, chosen evenly, in its own size
    and numbers.

    With the head {"name": "mean"} all members have the ensemble's labels, in its order. With {"name": "linear"} they
    keep their own, and a linear classifier sees the logarithms of all their probabilities.
    """

    model_type: ClassVar[str] = "ensemble"

    members: list[dict[str, Any]] | tuple[dict[str, Any], ...] = DEFAULT_MEMBERS
    image_mean: Values = IMAGENET_MEAN
    image_std: Values = IMAGENET_STD

    def __post_init__(self, **kwargs: Any) -> None:
        labels = self.id2label or {index: f"LABEL_{index}" for index in range(kwargs.get("num_labels") or 2)}
        self.members = [complete_member(member, labels) for member in self.members]
        super().__post_init__(**kwargs)

    def default_hidden_size(self) -> int:
        return sum(len(member["config"]["id2label"]) for member in self.members)

    def default_head(self) -> dict[str, Any]:
        return {"name": "mean"}

    def make_member_configs(self) -> list[PreTrainedConfig]:
        return [AutoConfig.for_model(**member["config"]) for member in self.members]

    def validate_members(self) -> None:
        names = [member["name"] for member in self.members]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"the members are called {names}; there must be one or more, each with a name of its own")
        for member, config in zip(self.members, self.make_member_configs(), strict=True):
            channels = getattr(config, "num_channels", self.num_channels)
            if channels != self.num_channels:
                raise ValueError(f"{member['name']} takes {channels} channels, and the ensemble {self.num_channels}")

    def validate_labels(self) -> None:
        if (self.head or {}).get("name") == "mean":
            for member in self.members:
                check_labels("the ensemble", self.id2label or {}, member["name"], member["config"]["id2label"])


def complete_member(member: Mapping[str, Any], labels: Labels) -> dict[str, Any]:
    """A member as it is saved: its config as plain values, with the ensemble's labels where it states none."""
    unknown = sorted(set(member) - set(MEMBER_FIELDS))
    if unknown or not {"name", "config"} <= set(member):
        raise ValueError(f"a member has the fields {', '.join(member)}; it must have name and config, and may have "
                         f"{', '.join(MEMBER_FIELDS[2:])}")  # fmt: skip
    config = member["config"]
    fields = json.loads(config.to_json_string()) if isinstance(config, PreTrainedConfig) else dict(config)
    if "model_type" not in fields:
        raise ValueError(f"the config of {member['name']} names no model_type")
    if "id2label" not in fields:
        num_labels = fields.pop("num_labels", None)
        fields["id2label"] = {index: f"LABEL_{index}" for index in range(num_labels)} if num_labels else dict(labels)
        fields["label2id"] = {label: index for index, label in fields["id2label"].items()}
    fields["id2label"] = {str(index): label for index, label in fields["id2label"].items()}
    return {**member, "config": fields}


def check_labels(one: str, labels: Labels, other: str, other_labels: Labels) -> None:
    """Refuses members with other labels, or another order of them, than the rest; the first difference is shown."""
    if len(labels) != len(other_labels):
        raise ValueError(f"{one} has {len(labels)} labels, and {other} {len(other_labels)}; they must have the same")
    for index, (label, other_label) in enumerate(zip(sort_labels(labels), sort_labels(other_labels), strict=True)):
        if label != other_label:
            raise ValueError(
                f"label {index} is {label!r} of {one}, and {other_label!r} of {other}; all members must have the same "
                "labels in the same order"
            )


def sort_labels(labels: Labels) -> Sequence[str]:
    return [label for _, label in sorted(labels.items(), key=lambda item: int(item[0]))]
