"""Image encoders on the frames of a clip: any network that makes a vector of an image, ours or of transformers.

Which vector is read from the encoder's output, by these rules in turn:

- `pooler_output`, (N, D) or (N, D, 1, 1);
- the first position of `last_hidden_state` (N, P, D), where the encoder has a class token: a parameter whose name ends
  in `cls_token`, `class_token` or `class_embedding`;
- the mean over the positions of `last_hidden_state`, (N, P, D) or (N, D, H, W).

Shapes: N images, B videos, V views of each, T frames, C channels, H×W pixels, P positions, D features of a frame.
"""

import copy
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, cast

import torch
from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.configuration_utils import SubConfigSpec
from transformers.models.auto.modeling_auto import MODEL_MAPPING

from muybridge.models.base import NetworkPreTrainedModel
from muybridge.models.video_base import VideoConfig, VideoForClassification, VideoPreTrainedModel

FrameFeatures = Literal["pooled", "class_token", "mean"]

CLASS_TOKENS = ("cls_token", "class_token", "class_embedding")
# Where configs of transformers have the number of features, in this order; a list has one number a stage.
FIELDS_OF_FEATURES = ("neck_hidden_sizes", "hidden_size", "hidden_sizes", "hidden_dim", "embed_dims", "embed_dim")
# What is read, by `frame_features`.
POOLED = "pooler_output (N, D) or (N, D, 1, 1)"
RULES: dict[str | None, str] = {
    None: f"{POOLED}, or last_hidden_state (N, P, D) or (N, D, H, W)",
    "pooled": POOLED,
    "class_token": "the first position of last_hidden_state (N, P, D), of a network with a class token",
    "mean": "the mean of last_hidden_state (N, P, D) or (N, D, H, W)",
}


# Configs


def as_encoder_config(value: PreTrainedConfig | Mapping[str, Any]) -> PreTrainedConfig:
    """The config of an image encoder; of a network of images and texts, its vision part."""
    config = value if isinstance(value, PreTrainedConfig) else read_config(value)
    config = getattr(config, "vision_config", None) or config
    name = type(config).__name__
    if type(config) not in MODEL_MAPPING:
        raise ValueError(f"backbone_config is a {name}, of which AutoModel makes no network; take an image encoder's")
    main_input = MODEL_MAPPING[type(config)].main_input_name
    if main_input == "pixel_values" and hasattr(config, "num_frames"):
        raise ValueError(
            f"backbone_config is a {name}, whose network takes clips of {config.num_frames} frames and is no image "
            "encoder: it must take single images, pixel_values (N, C, H, W), as classifiers of images do"
        )
    if main_input != "pixel_values":
        raise ValueError(
            f"backbone_config is a {name}, whose network takes {main_input} and is no image encoder: its main input "
            "must be images, pixel_values (N, C, H, W), as that of classifiers of images"
        )
    if getattr(config, "mask_ratio", 0):
        raise ValueError(
            f"backbone_config is a {name} with mask_ratio {config.mask_ratio}: it hides patches of every image at "
            "random; set mask_ratio to 0"
        )
    return config


def read_config(fields: Mapping[str, Any]) -> PreTrainedConfig:
    if "model_type" not in fields:
        raise ValueError(f"backbone_config names no model_type; its fields are {', '.join(map(str, fields)) or 'none'}")
    return AutoConfig.for_model(**fields)


def count_features(config: PreTrainedConfig) -> int | None:
    """The number of features of an image, where the encoder's config has a field for it."""
    for name in FIELDS_OF_FEATURES:
        value = getattr(config, name, None)
        if isinstance(value, list | tuple):
            value = value[-1] if value else None
        if isinstance(value, int):
            return value
    return None


def specify_backbone(model_type: str) -> dict[str, SubConfigSpec]:
    """What transformers wants to know of `backbone_config`: it may be of any type, and is of this one by default."""
    return {"backbone_config": SubConfigSpec(config_class=AutoConfig, model_type=model_type)}


@strict
class FramesConfig(VideoConfig):
    """The fields of a network that puts an image encoder on frames; `sub_configs_defaults` is `specify_backbone(…)`.

    `backbone_config` is the encoder's config, or its fields with `model_type`. `image_size` and `num_channels` must be
    the encoder's, where it has such. `frame_features` says which vector is read from its output: None is the first of
    the rules of `image_encoder` that fits. `frame_hidden_size` is how long that is; it is found in the encoder's
    config, and to be stated for an encoder whose config does not tell.
    """

    backbone_config: dict[str, Any] | PreTrainedConfig | None = None
    frame_features: FrameFeatures | None = None
    frame_hidden_size: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        self.backbone_config = as_encoder_config(self.backbone_config or self.default_backbone())
        if self.frame_hidden_size is None:
            self.frame_hidden_size = count_features(self.backbone_config)
        if self.frame_hidden_size is None:
            raise ValueError(
                f"a {type(self.backbone_config).__name__} has none of {', '.join(FIELDS_OF_FEATURES)}; say in "
                "frame_hidden_size how many features its network makes of an image"
            )
        super().__post_init__(**kwargs)

    def default_backbone(self) -> dict[str, Any]:
        """The fields of the encoder where none is stated."""
        raise NotImplementedError

    def default_hidden_size(self) -> int:
        return cast(int, self.frame_hidden_size)

    def validate_backbone(self) -> None:
        for name in ("image_size", "num_channels"):
            own, theirs = getattr(self, name), getattr(self.backbone_config, name, None)
            if theirs is not None and set(as_list(theirs)) != {own}:
                raise ValueError(
                    f"{name} is {own}, and the {type(self.backbone_config).__name__} has {theirs}; they must agree"
                )


def as_list(value: int | list[int] | tuple[int, ...]) -> list[int]:
    return list(value) if isinstance(value, list | tuple) else [value]


# Networks


class ImageEncoder(nn.Module):
    """The network of a config, and the vector that is read from its output: images (N, C, H, W) → features (N, D)."""

    def __init__(self, config: FramesConfig) -> None:
        super().__init__()
        self.network = make_network(config)
        self.frame_features = config.frame_features
        names = [name for name, _ in self.network.named_parameters()]
        self.has_class_token = any(name.endswith(CLASS_TOKENS) for name in names)
        if not isinstance(self.network, NetworkPreTrainedModel):
            self.check(config)

    def check(self, config: FramesConfig) -> None:
        """Refuses a network whose output has no vector as long as the config says; nothing is computed."""
        with torch.device("meta"), torch.no_grad():
            images = torch.empty(1, config.num_channels, config.image_size, config.image_size)
            num_features = self.read(make_network(config).eval()(images, return_dict=True)).shape[1]
        if num_features != config.frame_hidden_size:
            raise ValueError(
                f"{type(self.network).__name__} makes {num_features} features of an image, not the "
                f"{config.frame_hidden_size} of frame_hidden_size; set frame_hidden_size={num_features}"
            )

    def get_stages(self) -> list[nn.Module]:
        """The network's own stages where it is one of ours; any other is one stage."""
        return self.network.get_stages() if isinstance(self.network, NetworkPreTrainedModel) else [self]

    def forward(self, images: Tensor) -> Tensor:
        return self.read(self.network(images, return_dict=True))

    def encode(self, videos: Tensor, keep: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The features (B, T, D) of videos (B, T, C, H, W), and what the stages gave for the B·T frames, if kept."""
        images = videos.flatten(0, 1)
        if keep and isinstance(self.network, NetworkPreTrainedModel):
            output = self.network(images, output_hidden_states=True, return_dict=True)
            features, hidden_states = self.read(output), output.hidden_states
        else:
            features = self(images)
            hidden_states = (features,) if keep else ()
        return features.unflatten(0, (-1, videos.shape[1])), hidden_states

    def read(self, output: Mapping[str, Any]) -> Tensor:
        """The vector (N, D) of an output, by the rules that stand above."""
        pooled, hidden = output.get("pooler_output"), output.get("last_hidden_state")
        if self.frame_features in (None, "pooled") and isinstance(pooled, Tensor) and is_vector(pooled):
            return pooled.flatten(1)
        if self.frame_features != "pooled" and isinstance(hidden, Tensor):
            if hidden.ndim == 3 and self.frame_features != "mean" and self.has_class_token:
                return hidden[:, 0]
            if hidden.ndim in (3, 4) and self.frame_features != "class_token":
                return hidden.mean(dim=1) if hidden.ndim == 3 else hidden.mean(dim=(2, 3))
        shapes = {name: tuple(value.shape) for name, value in output.items() if isinstance(value, Tensor)}
        remedy = "set frame_features to another, or to None" if self.frame_features else "take another encoder"
        raise ValueError(
            f"the output of {type(self.network).__name__} is not understood: it has {shapes}, and what is read with "
            f"frame_features={self.frame_features!r} is {RULES[self.frame_features]}; {remedy}"
        )


def is_vector(pooled: Tensor) -> bool:
    """Whether it is (N, D), or (N, D, 1, 1)."""
    return pooled.ndim >= 2 and pooled.shape[2:].numel() == 1


def make_network(config: FramesConfig) -> PreTrainedModel:
    return AutoModel.from_config(config.backbone_config, **get_network_options(config))


def get_network_options(config: FramesConfig) -> dict[str, bool]:
    """Leaves out the layers behind a class token, where there are such and these are not read."""
    network_class = MODEL_MAPPING[type(config.backbone_config)]
    has_choice = "add_pooling_layer" in inspect.signature(network_class.__init__).parameters
    return {"add_pooling_layer": False} if has_choice and config.frame_features in ("class_token", "mean") else {}


def load_network(backbone: str | Path | PreTrainedModel, config: FramesConfig) -> PreTrainedModel:
    """The trained network of `backbone_config`, from a network in memory, a folder or the Hub; all of its weights."""
    if isinstance(backbone, PreTrainedModel):
        network = make_network(config)
        missing = network.load_state_dict(get_image_part(backbone).state_dict(), strict=False).missing_keys
    else:
        network, report = AutoModel.from_pretrained(
            backbone,
            config=config.backbone_config,
            dtype=torch.float32,
            output_loading_info=True,
            **get_network_options(config),
        )
        missing = sorted(report["missing_keys"])
    if missing:
        raise ValueError(
            f"{describe(backbone)} lacks weights of {type(network).__name__}: {', '.join(missing)}. If these are what "
            "stands behind its class token, pass frame_features='class_token' or 'mean'"
        )
    return network


def get_image_part(model: PreTrainedModel) -> PreTrainedModel:
    """The trunk of a classifier; of a network of images and texts, the one for images."""
    return model.vision_model if hasattr(model.config, "vision_config") else model.base_model


def describe(backbone: str | Path | PreTrainedModel) -> str:
    return type(backbone).__name__ if isinstance(backbone, PreTrainedModel) else str(backbone)


class FramesPreTrainedModel(VideoPreTrainedModel):
    """The base of networks with an `ImageEncoder` called `encoder`, which gives B·T rows for B videos."""

    config: FramesConfig


class FramesForVideoClassification(FramesPreTrainedModel, VideoForClassification):
    """A classifier that can be made of an image encoder which is there already."""

    @classmethod
    def from_backbone(cls, backbone: str | Path | PreTrainedModel, **fields: Any) -> Self:
        """A new classifier on a trained image encoder: a network, or the folder or Hub name of one.

        `make_processor(image_processor)` of what comes out makes the processor to save beside it. `fields` are those of
        the config; `image_size` and `num_channels` are the encoder's own where it has such.
        """
        given = backbone.config if isinstance(backbone, PreTrainedModel) else AutoConfig.from_pretrained(backbone)
        encoder_config = copy.deepcopy(as_encoder_config(given))
        encoder_config.dtype, encoder_config.name_or_path = None, ""  # float32, and nobody else's path
        own = {name: getattr(encoder_config, name, None) for name in ("image_size", "num_channels")}
        stated = {name: as_list(value)[0] for name, value in own.items() if value is not None}
        model = cls(cls.config_class(**{"backbone_config": encoder_config, **stated, **fields}))
        model.base_model.encoder.network = load_network(backbone, model.config)
        return model
