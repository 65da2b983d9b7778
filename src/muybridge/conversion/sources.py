"""What a source of foreign weights is: whose tensors, which network of ours, and how the names map."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from torch import Tensor

from muybridge.conversion.errors import ConversionError
from muybridge.conversion.recipe import Recipe, load_recipe
from muybridge.models import Architecture
from muybridge.models.base import NetworkConfig
from muybridge.models.registry import get_architecture
from muybridge.processing import FlowProcessor, ImageProcessor, VideoProcessor

Renames = Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]


def flatten_tensor(name: str) -> Callable[[Mapping[str, Tensor]], dict[str, Tensor]]:
    """Makes the tensor of that name, a classifier that was written as a convolution, a matrix."""

    def flatten(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
        tensors = dict(state_dict)
        if name in tensors and tensors[name].ndim > 2:
            tensors[name] = tensors[name].flatten(1)
        return tensors

    return flatten


@dataclass(frozen=True)
class Source:
    """Weights of one network as one project publishes them.

    `fields` are the config fields of our network, `infer` those that only the tensors tell. `renames` are regular
    expressions and their replacements that, applied in turn, make the project's name of a tensor from ours.
    `classifier` is the project's tensor with one row a label. `protocol` is how the project measured what it says of
    its weights. `processor` is what differs from the architecture's processor, `processor_of` what of that the network
    tells, and `processor_class` a processor that takes the place of the architecture's. `adapt` gives the tensors,
    under the project's names, the shapes that ours have.
    """

    name: str
    fields: Mapping[str, Any]
    renames: Renames
    classifier: str
    protocol: Mapping[str, Any] | None = None
    processor: Mapping[str, Any] = field(default_factory=dict)
    processor_class: type[VideoProcessor | FlowProcessor] | None = None
    processor_of: Callable[[NetworkConfig], dict[str, Any]] | None = None
    infer: Callable[[Mapping[str, Tensor]], dict[str, Any]] | None = None
    adapt: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] | None = None

    @property
    def architecture(self) -> Architecture:
        return get_architecture(self.recipe.architecture)

    @property
    def recipe(self) -> Recipe:
        """Where the published weights are, and what is known of them."""
        return load_recipe(self.name)

    def is_published(self, num_labels: int) -> bool:
        """Whether weights with so many labels can be the published ones: others were trained on something else."""
        return num_labels == self.recipe.num_labels

    def make_processor(self, config: NetworkConfig) -> ImageProcessor | VideoProcessor | FlowProcessor:
        """The processor of a network with this config."""
        processor_class = self.processor_class or self.architecture.processor
        return processor_class(**self.processor, **(self.processor_of(config) if self.processor_of else {}))

    def original_name(self, name: str) -> str:
        """The project's name for our tensor `name`."""
        for pattern, replacement in self.renames:
            name = re.sub(pattern, replacement, name)
        return name

    def config(
        self, state_dict: Mapping[str, Tensor], num_labels: int, told: Mapping[str, Any] | None = None
    ) -> NetworkConfig:
        """The config of our network for these tensors; `told` are the fields that their file tells itself."""
        foreign = sorted(set(told or {}) - {each.name for each in fields(self.architecture.config)})
        if foreign:
            raise ConversionError(f"the file describes another network than {self.name}: it has {', '.join(foreign)}")
        inferred = {**(self.infer(state_dict) if self.infer else {}), **(told or {})}
        stated = {"protocol": self.protocol} if self.protocol and self.is_published(num_labels) else {}
        return self.architecture.config(**{**self.fields, **inferred, **stated}, num_labels=num_labels)
