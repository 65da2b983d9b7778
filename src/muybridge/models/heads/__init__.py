"""What makes logits of a trunk's features: one file a head.

`config.head` names a head of `HEADS`, and has its numbers: `{"name": "linear", "dropout": 0.5}`.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from transformers import PreTrainedConfig

from muybridge.models.heads.auxiliary import AuxiliaryHead
from muybridge.models.heads.averaging import average_logits, average_views, average_where, get_aggregation
from muybridge.models.heads.frames import FramesHead
from muybridge.models.heads.head import Head, HeadNumbers
from muybridge.models.heads.linear import LinearHead
from muybridge.models.heads.mean import MeanHead
from muybridge.models.heads.multi_task import MultiTaskHead, MultiTaskNumbers, get_tasks, name_labels

__all__ = [
    "HEADS",
    "Head",
    "MultiTaskHead",
    "average_logits",
    "average_views",
    "average_where",
    "complete_head",
    "get_aggregation",
    "get_tasks",
    "make_head",
    "name_labels",
]

HEADS: dict[str, type[Head]] = {
    "auxiliary": AuxiliaryHead,
    "frames": FramesHead,
    "linear": LinearHead,
    "mean": MeanHead,
    "multi_task": MultiTaskHead,
}


def get_head_class(name: Any) -> type[Head]:
    if name not in HEADS:
        raise ValueError(f"there is no head {name!r}; there are {', '.join(HEADS)}")
    return HEADS[name]


def complete_head(stated: Mapping[str, Any] | None, default: Mapping[str, Any]) -> dict[str, Any]:
    """The head that a config states, with all of its numbers.

    What is not stated is as in `default`, the architecture's own head, and else as the head's class has it.
    """
    given = dict(stated or {})
    name = given.pop("name", default["name"])
    numbers_class = get_head_class(name).numbers_class
    known = [each.name for each in fields(numbers_class)]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"the head {name!r} has no number {', '.join(unknown)}; it has {', '.join(known) or 'none'}")
    own = {key: value for key, value in default.items() if key in known}
    numbers = asdict(numbers_class(**{**own, **given}))
    if "head" in numbers:  # that of each task
        numbers["head"] = complete_head(numbers["head"], default)
    return {"name": name, **numbers}


def read_numbers(head: Mapping[str, Any]) -> HeadNumbers:
    """The numbers of a complete head."""
    given = {name: value for name, value in head.items() if name != "name"}
    return get_head_class(head["name"]).numbers_class(**given)


def make_head(config: PreTrainedConfig) -> Head:
    """The head that the config names, for its labels; `from_pretrained` may have put an incomplete one there."""
    config.head = complete_head(config.head, config.default_head())
    return build_head(config, config.head, config.num_labels)


def build_head(config: PreTrainedConfig, head: Mapping[str, Any], num_labels: int) -> Head:
    numbers = read_numbers(head)
    if isinstance(numbers, MultiTaskNumbers):
        heads = [build_head(config, numbers.head, len(labels)) for labels in numbers.tasks.values()]
        return MultiTaskHead(config, num_labels, numbers, heads)
    make: Any = HEADS[head["name"]]
    return make(config, num_labels, numbers)
