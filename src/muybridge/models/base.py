"""What every architecture has in common, whatever it takes: its config, its trunk, its classifier.

An architecture adds a config and a trunk to the classes of `image_base` or `video_base`, or to those here where it
takes something else.

Shapes: B images or videos, V views of each, C channels, D features, L labels.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar, Self, cast

import torch
from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel, initialization as init
from transformers.modeling_outputs import ImageClassifierOutputWithNoAttention

from muybridge.models.heads import Head, MultiTaskHead, complete_head, get_tasks, make_head, name_labels
from muybridge.models.inputs import Shape, count_channels, describe_axes
from muybridge.models.registry import get_architecture
from muybridge.models.vocabulary import Vocabulary

# A config's list of numbers: JSON gives a list, a default must be a tuple.
Numbers = list[int] | tuple[int, ...]
# The labels of a head: their names in order, or their number; or those of several tasks, by the names of the tasks.
Labels = int | Sequence[str] | Mapping[str, Sequence[str]]

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

    `hidden_size` is the number of features that one thing becomes. `head` names what makes logits of them, and has its
    numbers: {"name": "linear", "dropout": 0.5} (see `heads.HEADS`); what it leaves out is as the architecture has it.
    """

    hidden_size: int | None = None
    head: dict[str, Any] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        unknown = sorted(set(kwargs) - TRANSFORMERS_KEYS)
        if unknown:
            known = ", ".join(sorted(field.name for field in fields(self)))
            raise TypeError(f"{type(self).__name__} has no field {', '.join(map(repr, unknown))}; it has: {known}")
        if self.hidden_size is None:
            self.hidden_size = self.default_hidden_size()
        self.head = complete_head(self.head, self.default_head())
        super().__post_init__(**kwargs)

    def default_hidden_size(self) -> int:
        """The number of features of the trunk; an architecture that derives it from other fields says so here."""
        return 512

    def default_head(self) -> dict[str, Any]:
        """The head where none is stated, and the numbers that a stated one leaves out."""
        return {"name": "linear", "dropout": 0.0}

    def input_shapes(self) -> dict[str, Shape]:
        """The shape of each input without the batch, by the names of the network's `forward`; the main one first."""
        raise NotImplementedError

    def validate_hidden_size(self) -> None:
        if self.hidden_size != self.default_hidden_size():
            raise ValueError(
                f"hidden_size is {self.hidden_size}, but the other fields make it {self.default_hidden_size()}; "
                "leave it out"
            )


@strict
class PixelConfig(NetworkConfig):
    """The fields of what sees images or frames."""

    image_size: int = 224
    num_channels: int = 3

    def validate_sizes(self) -> None:
        for name in ("image_size", "num_channels"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 1 or more")


def find_dropout(config: NetworkConfig) -> float:
    """The dropout of the config's head; of its head for each task, where there are several."""
    head = config.head or {}
    return head.get("head", head).get("dropout", 0.0)


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


class NetworkPreTrainedModel(Vocabulary, PreTrainedModel):
    """The base of every model. A trunk lists its stages in `get_stages`; everything else is here."""

    config: NetworkConfig
    supports_gradient_checkpointing = True
    # A trunk is what one loads of a classifier's checkpoint to get features: nothing to be warned of.
    _keys_to_ignore_on_load_unexpected = (r"^head\.",)

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.main_input_name = next(iter(config.input_shapes()))  # which the config decides in some architectures

    def get_stages(self) -> list[nn.Module]:
        if self.base_model is self:
            raise NotImplementedError(f"{type(self).__name__} is a trunk, and must list its stages")
        return self.base_model.get_stages()

    def get_trunk(self) -> nn.Module:
        return self.base_model

    def pool_features(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return self.run_trunk(inputs).pooler_output

    def run_trunk(self, inputs: Mapping[str, Tensor], output_hidden_states: bool | None = None) -> Any:
        return self.base_model(**inputs, output_hidden_states=output_hidden_states, return_dict=True)

    def keeps_hidden_states(self, is_asked_for: bool | None) -> bool:
        return bool(self.config.output_hidden_states if is_asked_for is None else is_asked_for)

    def check_inputs(self, **inputs: Tensor | None) -> dict[str, Tensor]:
        """The inputs that are there; others than the config's, and those of a wrong shape, are refused."""
        shapes = self.input_shapes()
        given = {name: value for name, value in inputs.items() if value is not None}
        if given.keys() != shapes.keys():
            raise ValueError(
                f"{type(self).__name__} takes {' and '.join(shapes)}, and was given {' and '.join(given) or 'nothing'}"
            )
        for name, value in given.items():
            self.check_shape(name, tuple(value.shape), shapes[name])
        return given

    def check_shape(self, name: str, shape: Shape, expected: Shape) -> None:
        channels = count_channels(name, expected)
        is_right = len(shape) == len(expected) + 1 and count_channels(name, shape[1:]) == channels
        if is_right and 0 not in shape[1:]:
            return
        axes = f"{type(self).__name__} takes ({describe_axes(name, expected)})"
        if is_right:
            raise ValueError(f"{name} has shape {shape}: there is nothing in it; {axes}, each 1 or more")
        raise ValueError(f"{name} has shape {shape}; {axes}")

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif (initialize := getattr(module, "initialize", None)) is not None:  # a layer of ours begins in its own way
            initialize()


class NetworkForClassification(NetworkPreTrainedModel):
    """A trunk, and the head that the config names.

    A subclass names its trunk in `trunk_class`. Its `forward` names its inputs and hands them to `classify`; for images
    and videos `ImageForClassification` and `VideoForClassification` do.
    """

    trunk_class: ClassVar[type[NetworkPreTrainedModel]]

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        setattr(self, self.base_model_prefix, self.trunk_class(config))
        self.head = make_head(config)
        self.post_init()

    def make_processor(self, **fields: Any) -> Any:
        """A processor that gives what this network takes, to be saved beside it; `fields` are those of its arguments
        that are to be others.

        An architecture whose sizes are to be those of its config says so here.
        """
        return get_architecture(self.config.model_type).processor(**fields)

    # The head

    def get_head(self) -> Head:
        return self.head

    def reset_head(self, labels: Labels, head: Mapping[str, Any] | None = None) -> None:
        """Replaces the head by a new one for `labels`, of the same kind, or as `head` says ({"name": …})."""
        stated = self.choose_head() if head is None else head
        if isinstance(labels, Mapping):
            stated = {
                "name": "multi_task",
                "tasks": {task: list(names) for task, names in labels.items()},
                "head": stated,
            }
            labels = name_labels(labels)
        names = [f"LABEL_{index}" for index in range(labels)] if isinstance(labels, int) else list(labels)
        if not names:
            raise ValueError("labels is empty; a classifier needs at least one label")
        complete = complete_head(stated, self.config.default_head())
        self.set_labels(names)
        if complete != self.config.head:
            device, dtype = self.device, self.dtype
            self.config.head = complete
            self.head = make_head(self.config).to(device=device, dtype=dtype).train(self.training)
            self.head.apply(self._init_weights)
        if self.head.has_weights:
            self.head.reset(len(names))

    def choose_head(self) -> dict[str, Any]:
        """The kind of head that a new one is, where nothing else is asked for."""
        current = dict(self.config.head or {})
        if current["name"] == "multi_task":
            return dict(current["head"])
        return current if self.head.has_weights else {"name": "linear"}

    def set_labels(self, names: Sequence[str]) -> None:
        self.config.id2label = dict(enumerate(names))
        self.config.label2id = {name: index for index, name in enumerate(names)}
        self.num_labels = len(names)

    def take_task(self, name: str) -> Self:
        """A copy whose head is that of one task of a "multi_task" head, with its labels."""
        tasks = get_tasks(self.config)
        if name not in tasks:
            known = ", ".join(map(repr, tasks)) or "none, as its head is of a single one"
            raise ValueError(f"{type(self).__name__} has no task {name!r}; it has {known}")
        alone = copy.deepcopy(self)
        alone.head = cast(MultiTaskHead, alone.head).get_task(name)
        alone.config.head = dict((self.config.head or {})["head"])
        alone.set_labels(tasks[name])
        return alone

    # From inputs to scores

    def get_head_inputs(self, **inputs: Tensor) -> dict[str, Tensor]:
        """What the head reads of a batch, one row a view: to be kept, and handed to `score` later."""
        flat, _ = self.flatten_views(inputs)
        return self.select_head_inputs(self.run_trunk(flat), flat)

    def select_head_inputs(self, outputs: Any, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found = {name: inputs.get(name, getattr(outputs, name, None)) for name in self.head.inputs}
        return {name: value for name, value in found.items() if value is not None}

    def score(self, head_inputs: Mapping[str, Tensor], num_views: int | None = None) -> Tensor:
        """Logits (B, L) of what `get_head_inputs` gave, averaged where each `num_views` rows are of one thing."""
        logits = self.head(head_inputs)
        return logits if num_views is None else self.head.average_views(logits.unflatten(0, (-1, num_views)))

    def classify(
        self,
        inputs: Mapping[str, Tensor | None],
        labels: Tensor | None,
        output_hidden_states: bool | None,
        num_items_in_batch: Tensor | int | None,
    ) -> ImageClassifierOutputWithNoAttention:
        """Logits (B, L) of a batch, averaged over views, and the loss."""
        flat, num_views = self.flatten_views({name: value for name, value in inputs.items() if value is not None})
        has_helpers = self.training and labels is not None and self.head.has_auxiliary_losses
        outputs = self.run_trunk(flat, output_hidden_states=True if has_helpers else output_hidden_states)
        logits = self.score(self.select_head_inputs(outputs, flat), num_views)
        loss = None
        if labels is not None:
            self.check_single_task()
            loss = self.loss_function(labels, logits, self.config, num_items_in_batch=num_items_in_batch)
        if loss is not None and has_helpers:
            loss = loss + self.compute_auxiliary_loss(outputs.hidden_states, num_views, labels, num_items_in_batch)
        return ImageClassifierOutputWithNoAttention(
            loss=loss,
            logits=logits,
            hidden_states=outputs.hidden_states if self.keeps_hidden_states(output_hidden_states) else None,
        )

    def check_single_task(self) -> None:
        if isinstance(self.head, MultiTaskHead):
            raise ValueError(
                "labels were given to a network of several tasks, whose logits have no loss together; train it with "
                "muybridge.train, or take_task first"
            )

    def compute_auxiliary_loss(
        self,
        hidden_states: Sequence[Tensor],
        num_views: int | None,
        labels: Tensor | None,
        num_items_in_batch: Tensor | int | None,
    ) -> Tensor:
        """The weighted sum of the losses that the head has on stages in the middle of the trunk."""
        stages = dict(zip(self.get_stage_names(), hidden_states, strict=True))
        total = torch.zeros((), device=self.device)
        for weight, logits in self.head.score_stages(stages):
            if num_views is not None:
                logits = self.head.average_views(logits.unflatten(0, (-1, num_views)))
            loss = self.loss_function(labels, logits, self.config, num_items_in_batch=num_items_in_batch)
            total = total + weight * loss
        return total
