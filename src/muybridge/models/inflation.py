"""An image network becomes a video network: its filters are repeated along time and divided by how often.

Inflation is that of "Quo Vadis, Action Recognition?" (Carreira and Zisserman, CVPR 2017, arXiv:1705.07750).

Shapes: k frames of a filter, C channels, H×W pixels or places.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from muybridge.models.adapters import find_head
from muybridge.models.base import find_dropout
from muybridge.models.registry import ARCHITECTURES
from muybridge.models.video_base import VideoConfig, VideoForClassification


@dataclass(frozen=True)
class Inflation:
    """How classifiers of one architecture for images become those of one for videos.

    `fields` are the fields of the video network's config, from the image network's. `image_name` is the image network's
    name of a tensor, from the video network's and the image network's config.
    """

    title: str
    config: type[VideoConfig]
    model: type[VideoForClassification]
    fields: Callable[[Any], dict[str, Any]]
    image_name: Callable[[str, Any], str]


def inflate(
    image_model: PreTrainedModel, *, num_frames: int | None = None, center: bool = False
) -> VideoForClassification:
    """The video network whose filters are those of a classifier of images, with its classifier and its labels.

    An error for any other network lists which classifiers of images can be inflated, and what they become. The video
    network takes pixels as the image network does, but for one with `transform_input`, which makes pixels in [-1, 1] of
    others: its video network takes them in [-1, 1], as its own processor gives them. `make_processor(image_processor)`
    of what comes out makes the processor to save beside it. `num_frames` is the length of the clips, where it is to be
    another than the architecture's own.

    Every filter is repeated k times along time and divided by k, so a video of one still frame gives the hidden states
    of that frame: at the positions in time that see nothing but frames. Those near the ends see the zeros beside the
    video too, as if it came from black and went to black, and what is computed from all positions, the features and
    logits, differs by what these weigh. With `center` the filter stands in the middle position and zeros beside it:
    then a still video gives the image network's hidden states, features and logits everywhere, and time is first made
    use of in training.
    """
    inflation = get_inflation(image_model)
    image_config, weights = image_model.config, image_model.state_dict()
    fields = inflation.fields(image_config) | ({} if num_frames is None else {"num_frames": num_frames})
    names = dict(image_config.id2label)
    config = inflation.config(**fields, id2label=names, label2id={name: index for index, name in names.items()})
    with torch.device("meta"):
        model = inflation.model(config)
    tensors = {}
    for name, tensor in model.state_dict().items():
        weight = weights[inflation.image_name(name, image_config)].detach()
        tensors[name] = inflate_tensor(weight, tensor.shape, fields["hidden_sizes"][-1], center=center)
    model.load_state_dict(tensors, assign=True)
    return model.eval()


def list_inflations() -> dict[str, Inflation]:
    """What is known of inflating, by the model_type of the image network."""
    return {
        each.inflated_from: resolve_name(f"{each.package}.inflation_{each.name}:INFLATION")
        for each in ARCHITECTURES.values()
        if each.inflated_from
    }


def get_inflation(image_model: PreTrainedModel) -> Inflation:
    inflations = list_inflations()
    inflation = inflations.get(getattr(getattr(image_model, "config", None), "model_type", ""))
    if inflation is None or find_head(image_model) is None:
        known = "; ".join(each.title for each in inflations.values())
        raise TypeError(f"{type(image_model).__name__} cannot be inflated; these classifiers of images can: {known}")
    return inflation


def inflate_tensor(tensor: Tensor, shape: torch.Size, num_map_channels: int, *, center: bool) -> Tensor:
    """A tensor of the image network with the shape that it has in the video network."""
    if tensor.shape == shape:
        return tensor.clone()
    if len(shape) == 2:  # a fully connected layer on a map: (out, C·H·W) → (out, C·k·H·W)
        places = tensor.unflatten(1, (num_map_channels, -1))
        return repeat_in_time(places, shape[1] // tensor.shape[1], center=center).flatten(1)
    return repeat_in_time(tensor, shape[2], center=center)


def repeat_in_time(weight: Tensor, num_frames: int, *, center: bool) -> Tensor:
    """(out, C, …) → (out, C, k, …): the k-th part at each position, or all of it in the middle."""
    if not center:
        return torch.stack([weight / num_frames] * num_frames, dim=2)
    inflated = weight.new_zeros(*weight.shape[:2], num_frames, *weight.shape[2:])
    inflated[:, :, num_frames // 2] = weight
    return inflated


# For the architectures


def refuse(needs: Mapping[str, tuple[Any, Any]]) -> None:
    """Refuses an image network whose fields make it another than its video network can be."""
    for name, (value, wanted) in needs.items():
        if value != wanted:
            raise ValueError(f"{name} is {value}; of this architecture only networks with {wanted} can be inflated")


def copy_head(config: Any) -> dict[str, Any]:
    """The head of the video network, with the dropout of the image network's."""
    return {"name": "linear", "dropout": find_dropout(config)}
