"""What every architecture has in common, whether it sees images or videos: its config, its trunk, its classifier.

An architecture adds a config and a trunk to the classes of `image_base` or `video_base`; freezing, probing,
fine-tuning, retrieval and visualisation use nothing but the vocabulary defined here.

Shapes: B images or videos, V views of each, C channels, D features, L labels.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, ClassVar

import torch
from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel, initialization as init
from transformers.modeling_outputs import ImageClassifierOutputWithNoAttention

from muybridge.types import Protocol

# A config's list of numbers: JSON gives a list, a default must be a tuple.
Numbers = list[int] | tuple[int, ...]

# What transformers itself hands to a config beside its fields, when it loads one or makes a model from it.
TRANSFORMERS_KEYS = frozenset(
    {
        "_attn_implementation_internal",
        "_commit_hash",
        "_experts_implementation_internal",
        "_name_or_path",
        "attn_implementation",
        "auto_map",
        "experts_implementation",
        "model_type",
        "name_or_path",
        "num_labels",
        "output_attentions",
        "per_layer_config",
        "quantization_config",
        "torch_dtype",
        "use_cache",  # the Trainer sets it
    }
)


@strict
class NetworkConfig(PreTrainedConfig):
    """The fields that every architecture has; an unknown field is an error.

    `hidden_size` is the number of features that an image or a video becomes.
    """

    image_size: int = 224
    num_channels: int = 3
    hidden_size: int | None = None
    classifier_dropout: float = 0.0

    def __post_init__(self, **kwargs: Any) -> None:
        unknown = sorted(set(kwargs) - TRANSFORMERS_KEYS)
        if unknown:
            known = ", ".join(sorted(field.name for field in fields(self)))
            raise TypeError(f"{type(self).__name__} has no field {', '.join(map(repr, unknown))}; it has: {known}")
        if self.hidden_size is None:
            self.hidden_size = self.default_hidden_size()
        super().__post_init__(**kwargs)

    def default_hidden_size(self) -> int:
        """The number of features of the trunk; an architecture that derives it from other fields says so here."""
        return 512

    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, without the batch."""
        raise NotImplementedError

    def validate_hidden_size(self) -> None:
        if self.hidden_size != self.default_hidden_size():
            raise ValueError(
                f"hidden_size is {self.hidden_size}, but the other fields make it {self.default_hidden_size()}; "
                "leave it out"
            )

    def validate_sizes(self) -> None:
        for name in ("image_size", "num_channels"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 1 or more")


def get_aggregation(config: PreTrainedConfig) -> str:
    """How the logits of several views become one: as the protocol says, but labels that exclude nothing have no
    softmax."""
    if config.problem_type in ("multi_label_classification", "regression"):
        return "logits"
    protocol = config.get_protocol() if hasattr(config, "get_protocol") else Protocol()
    return protocol.aggregation


def average_views(logits: Tensor, aggregation: str) -> Tensor:
    """The logits of an image or a video (B, L) from those of its views (B, V, L).

    With `aggregation="softmax"` the probabilities are averaged: softmax of the result is their mean. A single view
    keeps its logits.
    """
    if logits.shape[1] == 1:
        return logits[:, 0]
    if aggregation == "logits":
        return logits.mean(dim=1)
    num_views = torch.tensor(logits.shape[1], dtype=logits.dtype, device=logits.device)
    return logits.log_softmax(dim=-1).logsumexp(dim=1) - num_views.log()


def run_stages(
    stages: Iterable[nn.Module], hidden: Tensor, keep: bool | None
) -> tuple[Tensor, tuple[Tensor, ...] | None]:
    """The output of the last stage, and those of all stages where they are to be kept."""
    hidden_states = []
    for stage in stages:
        hidden = stage(hidden)
        if keep:
            hidden_states.append(hidden)
    return hidden, tuple(hidden_states) if keep else None


class NetworkPreTrainedModel(PreTrainedModel):
    """The base of every model. A trunk lists its stages in `get_stages`; everything else is here."""

    config: NetworkConfig
    supports_gradient_checkpointing = True
    input_axes: ClassVar[str]  # of one batch of inputs, in words
    # A trunk is what one loads of a classifier's checkpoint to get features: nothing to be warned of.
    _keys_to_ignore_on_load_unexpected = (r"^classifier\.",)

    def get_stages(self) -> list[nn.Module]:
        """The trunk's stages from input to output: what freezing, layer-wise rates and visualisation go by."""
        if self.base_model is self:
            raise NotImplementedError(f"{type(self).__name__} is a trunk, and must list its stages")
        return self.base_model.get_stages()

    def get_stage_names(self) -> list[str]:
        """What `get_features` calls the stages."""
        names = {id(module): name for name, module in self.base_model.named_modules()}
        return [names[id(stage)] for stage in self.get_stages()]

    def get_features(self, inputs: Tensor, layer: str | None = None) -> Tensor:
        """What the layer of the trunk called `layer` gives for a batch: its name as in `named_modules`, like "fc7".

        Without a name it is the `pooler_output` (B, D). Several views are averaged.
        """
        flat, num_views = self.flatten_views(inputs)
        features = self.pooled(flat) if layer is None else self.output_of(layer, flat)
        return features if num_views is None else features.unflatten(0, (-1, num_views)).mean(dim=1)

    def pooled(self, inputs: Tensor) -> Tensor:
        return self.base_model(inputs, return_dict=True).pooler_output

    def output_of(self, layer: str, inputs: Tensor) -> Tensor:
        """The output of a layer of the trunk, copied before a later one could write into it."""
        layers = dict(self.base_model.named_modules())
        if not layer or layer not in layers:
            raise ValueError(
                f"{type(self).__name__} has no layer {layer!r}; its stages are {', '.join(self.get_stage_names())}, "
                "and named_modules() of its base_model lists every layer within them"
            )
        found: list[Tensor] = []

        def keep(_module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:
            # Layers of transformers' encoders may give a tuple, whose first is what goes on.
            found.append((output if isinstance(output, Tensor) else output[0]).clone())

        hook = layers[layer].register_forward_hook(keep)
        try:
            self.base_model(inputs)
        finally:
            hook.remove()
        return found[0]

    def flatten_views(self, inputs: Tensor) -> tuple[Tensor, int | None]:
        """Views (B, V, …) as (B·V, …) with V; a batch without views as it is with None."""
        if inputs.ndim != len(self.config.input_shape()) + 2:
            return inputs, None
        return inputs.flatten(0, 1), inputs.shape[1]

    def keeps_hidden_states(self, is_asked_for: bool | None) -> bool:
        return bool(self.config.output_hidden_states if is_asked_for is None else is_asked_for)

    def check_input(self, inputs: Tensor) -> None:
        shape, expected = tuple(inputs.shape), self.config.input_shape()
        if len(shape) != len(expected) + 1 or shape[-3] != self.config.num_channels:
            raise ValueError(
                f"{self.main_input_name} has shape {shape}; {type(self).__name__} takes "
                f"({self.input_axes.format(self.config.num_channels)})"
            )
        if 0 in shape[1:]:
            raise ValueError(
                f"{self.main_input_name} has shape {shape}: there is nothing in it; {type(self).__name__} takes "
                f"({self.input_axes.format(self.config.num_channels)}), each 1 or more"
            )

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif (initialize := getattr(module, "initialize", None)) is not None:  # a layer of ours begins in its own way
            initialize()


class NetworkForClassification(NetworkPreTrainedModel):
    """A trunk and a linear classifier on its features.

    `class XForVideoClassification(XPreTrainedModel, VideoForClassification)` names its trunk in `trunk_class` and
    needs nothing else.
    """

    trunk_class: ClassVar[type[NetworkPreTrainedModel]]

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        setattr(self, self.base_model_prefix, self.trunk_class(config))
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(config.default_hidden_size(), config.num_labels)
        self.post_init()

    @property
    def scores_pooled_features(self) -> bool:
        """Whether the logits are the classifier's for `pooler_output`, so that it can be kept in place of an input."""
        return True

    def get_classifier(self) -> nn.Linear:
        return self.classifier

    def reset_classifier(self, labels: int | Sequence[str]) -> None:
        """Replaces the classifier by a new one for `labels`: their names in order, or their number."""
        names = [f"LABEL_{index}" for index in range(labels)] if isinstance(labels, int) else list(labels)
        if not names:
            raise ValueError("labels is empty; a classifier needs at least one label")
        self.config.id2label = dict(enumerate(names))
        self.config.label2id = {name: index for index, name in enumerate(names)}
        self.num_labels = len(names)
        old = self.classifier.weight
        self.classifier = nn.Linear(old.shape[1], len(names), device=old.device, dtype=old.dtype)
        init.normal_(self.classifier.weight, std=0.01)
        init.zeros_(self.classifier.bias)

    def classify(
        self,
        features: Tensor,
        num_views: int | None,
        labels: Tensor | None,
        hidden_states: tuple[Tensor, ...] | None,
        num_items_in_batch: Tensor | int | None,
    ) -> ImageClassifierOutputWithNoAttention:
        """The output for features (B·V, D): logits (B, L), averaged over views as the protocol says, and the loss."""
        return self.conclude(self.score(features), num_views, labels, hidden_states, num_items_in_batch)

    def score(self, features: Tensor) -> Tensor:
        """The logits (…, L) of features (…, D)."""
        # Scores are float32 whatever the weights are: softmax and its mean need the digits.
        return self.classifier(self.dropout(features)).float()

    def conclude(
        self,
        logits: Tensor,
        num_views: int | None,
        labels: Tensor | None,
        hidden_states: tuple[Tensor, ...] | None,
        num_items_in_batch: Tensor | int | None,
    ) -> ImageClassifierOutputWithNoAttention:
        """The output for logits (B·V, L)."""
        if num_views is not None:
            logits = average_views(logits.unflatten(0, (-1, num_views)), get_aggregation(self.config))
        loss = None
        if labels is not None:
            loss = self.loss_function(labels, logits, self.config, num_items_in_batch=num_items_in_batch)
        return ImageClassifierOutputWithNoAttention(loss=loss, logits=logits, hidden_states=hidden_states)
