"""How classifiers of transformers' own come to understand the vocabulary.

None of them is known by name here. Their inputs are found in their config. Their head is their last linear layer that
has as many outputs as there are labels. Their stages are found by running an empty copy of them.

Shapes: B images or videos, V views of each, T frames, C channels, H×W pixels, D features, L labels.
"""

import copy
import functools
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from muybridge.models.heads import average_views, get_aggregation
from muybridge.models.heads.head import make_new_linear
from muybridge.models.inputs import Shape
from muybridge.models.registry import get_architecture
from muybridge.models.vocabulary import Vocabulary

# Where configs of transformers have the sizes of their input, in this order.
FRAME_FIELDS = ("num_frames", "frames_per_clip")
SIDE_FIELDS = ("image_size", "crop_size")
CHANNEL_FIELDS = ("num_channels", "in_chans")


def adapt(model: PreTrainedModel) -> Any:
    """The model as one that understands the vocabulary: itself where it is ours.

    One of transformers becomes an object of a class derived from its own, which shares its weights: it is saved and
    loaded as before, takes views, and has stages, features and a head. What is given stays as it is.
    """
    if isinstance(model, Vocabulary):
        return model
    adapted = copy.copy(model)
    adapted.__class__ = adapt_class(type(model))  # type: ignore[arg-type]  # mypy knows no class of transformers
    # Its own list of parts, and a config of its own: `reset_head` must not change what was given.
    for name in ("_parameters", "_buffers", "_modules"):
        adapted.__dict__[name] = model.__dict__[name].copy()
    adapted.config = copy.deepcopy(model.config)
    adapted.learn_vocabulary()
    return adapted


@functools.cache
def adapt_class(model_class: Any) -> type["AdaptedClassifier"]:
    """A class derived from one of transformers', under the same name: a checkpoint names its class."""

    @functools.wraps(model_class.forward)
    def forward(self: AdaptedClassifier, *arguments: Any, **named: Any) -> Any:
        return self.forward_views(*arguments, **named)

    return type(
        model_class.__name__,
        (AdaptedClassifier, model_class),
        {"__module__": __name__, "__doc__": model_class.__doc__, "forward": forward},
    )


def __getattr__(name: str) -> type["AdaptedClassifier"]:
    """The class derived from one of transformers': where pickle looks for it in another process."""
    model_class = getattr(transformers, name, None) if name[:1].isupper() else None
    if not (isinstance(model_class, type) and issubclass(model_class, PreTrainedModel)):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return adapt_class(model_class)


class AdaptedClassifier(Vocabulary, PreTrainedModel):
    """The vocabulary for a classifier of transformers. Layers have their names in the whole network."""

    def __init__(self, config: PreTrainedConfig, *arguments: Any, **options: Any) -> None:
        super().__init__(config, *arguments, **options)
        self.learn_vocabulary()

    def learn_vocabulary(self) -> None:
        """Finds once what is asked for often."""
        self.shapes = {self.main_input_name: find_input_shape(self.config)}
        self.sees_order = len(self.shapes[self.main_input_name]) == 4

    def input_shapes(self) -> dict[str, Shape]:
        return self.shapes

    def get_trunk(self) -> nn.Module:
        return self

    def get_stages(self) -> list[nn.Module]:
        if "stage_names" not in self.__dict__:
            self.stage_names = find_stage_names(self)
        return [self.get_submodule(name) for name in self.stage_names]

    # The head

    def get_head(self) -> nn.Linear:
        """The linear layer that gives the logits."""
        name = find_head_name(self)
        head = self.get_submodule(name) if name else None
        if not isinstance(head, nn.Linear):
            raise ValueError(
                f"{type(self).__name__} has no linear layer of {self.config.num_labels} outputs, one a label: it is no "
                "classifier"
            )
        return head

    def reset_head(self, labels: int | Sequence[str], head: Mapping[str, Any] | None = None) -> None:
        """Replaces the head by a new one for `labels`: their names in order, or their number."""
        if head is not None or isinstance(labels, Mapping):
            raise ValueError(
                f"{type(self).__name__} is a network of transformers, whose head is linear and of one task: pass "
                "labels alone"
            )
        names = [f"LABEL_{index}" for index in range(labels)] if isinstance(labels, int) else list(labels)
        if not names:
            raise ValueError("labels is empty; a classifier needs at least one label")
        self.set_submodule(str(find_head_name(self)), make_new_linear(self.get_head(), len(names)))
        self.config.id2label = dict(enumerate(names))
        self.config.label2id = {name: index for index, name in enumerate(names)}
        self.num_labels = len(names)

    def get_head_inputs(self, **inputs: Tensor) -> dict[str, Tensor]:
        """What the head reads of a batch, one row a view: to be kept, and handed to `score` later."""
        flat, _ = self.flatten_views(inputs)
        return {"pooler_output": self.pool_features(flat)}

    def score(self, head_inputs: Mapping[str, Tensor], num_views: int | None = None) -> Tensor:
        """Logits (B, L) of what `get_head_inputs` gave, averaged where each `num_views` rows are of one thing."""
        head = self.get_head()
        logits = head(head_inputs["pooler_output"].to(head.weight.dtype))
        if num_views is None:
            return logits
        return average_views(logits.unflatten(0, (-1, num_views)), get_aggregation(self.config))

    # From inputs to scores

    def run_trunk(self, inputs: Mapping[str, Tensor]) -> Any:
        return super().forward(**inputs, return_dict=True)

    def pool_features(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """What the head is given, (B, D)."""
        found: list[Tensor] = []
        hook = self.get_head().register_forward_pre_hook(lambda _head, given: found.append(given[0]))
        try:
            self.run_trunk(inputs)
        finally:
            hook.remove()
        return drop_queries(found[0])

    def forward_views(self, *arguments: Any, labels: Tensor | None = None, **named: Any) -> Any:
        """What the network's own forward gives; logits of several views are averaged as in our networks."""
        if arguments:
            _, *names = inspect.signature(type(self).forward).parameters
            named = {**dict(zip(names, arguments, strict=False)), **named}
        return_dict = named.pop("return_dict", None)
        flat, num_views = self.flatten_views({name: named[name] for name in self.input_shapes() if name in named})
        own_labels = {"labels": labels} if labels is not None and num_views is None else {}
        output = super().forward(**{**named, **flat, **own_labels}, return_dict=True)
        output.logits = drop_queries(output.logits)
        if num_views is not None:
            output.logits = average_views(output.logits.unflatten(0, (-1, num_views)), get_aggregation(self.config))
            if labels is not None:
                output.loss = self.loss_function(labels, output.logits, self.config)
        is_tuple = not (self.config.return_dict if return_dict is None else return_dict)
        return output.to_tuple() if is_tuple else output


# What a network of transformers tells of itself


def find_input_shape(config: PreTrainedConfig) -> Shape:
    """The shape of the one input of a classifier of images (C, H, W) or videos (T, C, H, W)."""
    channels = find_field(config, CHANNEL_FIELDS, 3)
    architecture = get_architecture(config.model_type)
    if architecture.get_task().thing == "image":
        default = architecture.processor.crop_size["height"] if architecture.processor_place else 224
        return channels, *as_pair(find_field(config, SIDE_FIELDS, default))
    frames = find_field(config, FRAME_FIELDS, None)
    side = find_field(config, SIDE_FIELDS, None)
    if frames is None or side is None:
        raise ValueError(
            f"a {type(config).__name__} has none of {', '.join(FRAME_FIELDS)}, or none of {', '.join(SIDE_FIELDS)}: it "
            "does not say how large its clips are"
        )
    return frames, channels, *as_pair(side)


def drop_queries(values: Tensor) -> Tensor:
    """Values (B, D), also of a network that pools by a single query and keeps its axis, (B, 1, D)."""
    return values.squeeze(1) if values.ndim == 3 else values


def find_field(config: PreTrainedConfig, names: Sequence[str], default: Any) -> Any:
    return next((getattr(config, name) for name in names if getattr(config, name, None) is not None), default)


def as_pair(side: int | Sequence[int]) -> tuple[int, int]:
    height, width = (side, side) if isinstance(side, int) else side
    return height, width


def find_head_name(model: PreTrainedModel) -> str | None:
    """The name of the last linear layer outside the trunk that has as many outputs as there are labels, if any."""
    prefix = f"{model.base_model_prefix}."
    found = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module.out_features == model.config.num_labels
        if not name.startswith(prefix)
    ]
    return found[-1] if found and model.base_model is not model else None


def find_head(model: nn.Module) -> nn.Module | None:
    """What gives the logits, where the model is a classifier: ours or transformers'."""
    if isinstance(model, Vocabulary) and not isinstance(model, AdaptedClassifier):
        return getattr(model, "head", None)
    name = find_head_name(model) if isinstance(model, PreTrainedModel) else None
    return model.get_submodule(name) if name else None


def find_stage_names(model: PreTrainedModel) -> list[str]:
    """The names of the parts that have weights, in the order in which they are run; of lists of layers, each layer.

    The head is none of them, nor is what no score depends on.
    """
    head = find_head_name(model) or ""
    with torch.device("meta"), torch.no_grad():  # nothing is computed
        empty = type(model)(model.config).eval()
        order: list[str] = []
        for name in list_parts(empty):
            if name != head and not head.startswith(f"{name}."):
                empty.get_submodule(name).register_forward_hook(lambda *_, name=name: order.append(name))
        empty(**{model.main_input_name: torch.empty(1, *find_input_shape(model.config))})
    return list(dict.fromkeys(order))


def list_parts(module: nn.Module, prefix: str = "") -> Iterator[str]:
    """Modules with weights; in the place of one that only holds lists of layers together, its layers and the rest."""
    for name, child in module.named_children():
        if not any(True for _ in child.parameters()):
            continue
        holds_layers = any(isinstance(part, nn.ModuleList) for part in child.modules())
        if isinstance(child, nn.ModuleList):
            yield from (f"{prefix}{name}.{index}" for index in range(len(child)))
        elif holds_layers and not any(True for _ in child.parameters(recurse=False)):
            yield from list_parts(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
