"""What a source of foreign weights is: whose tensors, which network of ours, and how the names map."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from muybridge.models import ARCHITECTURES, VideoArchitecture
from muybridge.models.base import VideoConfig

Renames = Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]


@dataclass(frozen=True)
class Source:
    """Weights of one network as one project publishes them.

    `fields` are the config fields of our network, `infer` those that only the tensors tell. `renames` are regular
    expressions and their replacements that, applied in turn, make the project's name of a tensor from ours.
    `classifier` is the project's tensor with one row a label; `labels` names a known list by the number of labels,
    where the order in which the project trained on them is certain. `processor` holds what differs from the
    architecture's processor.
    """

    name: str
    architecture_name: str
    fields: Mapping[str, Any]
    renames: Renames
    classifier: str
    licence: str
    homepage: str
    datasets: Sequence[str]
    numbers: Sequence[str] = ()
    labels: Mapping[int, str] = field(default_factory=dict)
    processor: Mapping[str, Any] = field(default_factory=dict)
    infer: Callable[[Mapping[str, Tensor]], dict[str, Any]] | None = None

    @property
    def architecture(self) -> VideoArchitecture:
        return ARCHITECTURES[self.architecture_name]

    def original_name(self, name: str) -> str:
        """The project's name for our tensor `name`."""
        for pattern, replacement in self.renames:
            name = re.sub(pattern, replacement, name)
        return name

    def config(self, state_dict: Mapping[str, Tensor], num_labels: int) -> VideoConfig:
        inferred = self.infer(state_dict) if self.infer else {}
        return self.architecture.config(**self.fields, **inferred, num_labels=num_labels)
