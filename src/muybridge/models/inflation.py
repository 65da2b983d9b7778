"""An image network becomes a video network: its filters are repeated along time and divided by how often.

Inflation is that of "Quo Vadis, Action Recognition?" (Carreira and Zisserman, CVPR 2017, arXiv:1705.07750).

Shapes: k frames of a filter, C channels, H×W pixels or places.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from muybridge.models.c3d import C3DConfig, C3DForVideoClassification
from muybridge.models.i3d import I3DConfig, I3DForVideoClassification
from muybridge.models.video_base import VideoConfig, VideoForClassification
from muybridge.models.video_resnet import VideoResNetConfig, VideoResNetForVideoClassification


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

    GoogLeNet with batch norm becomes an I3D, ResNet (of transformers) an R3D, VGG a C3D; each takes pixels as the
    image network does, but for a GoogLeNet with `transform_input`, which makes pixels in [-1, 1] of others: its I3D
    takes them in [-1, 1], as I3D's processor gives them. `make_processor(image_processor)` of what comes out makes the
    processor to save beside it. `num_frames` is the length of the clips, where it is to be
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


def get_inflation(image_model: PreTrainedModel) -> Inflation:
    inflation = INFLATIONS.get(getattr(getattr(image_model, "config", None), "model_type", ""))
    if inflation is None or not hasattr(image_model, "classifier"):
        known = "; ".join(each.title for each in INFLATIONS.values())
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


# The architectures


def refuse(needs: Mapping[str, tuple[Any, Any]]) -> None:
    """Refuses an image network whose fields make it another than its video network can be."""
    for name, (value, wanted) in needs.items():
        if value != wanted:
            raise ValueError(f"{name} is {value}; of this architecture only networks with {wanted} can be inflated")


def i3d_fields(googlenet: Any) -> dict[str, Any]:
    refuse(
        {
            "has_batch_norm": (googlenet.has_batch_norm, True),
            "large_kernel_size": (googlenet.large_kernel_size, 3),
            "last_pooling_size": (googlenet.last_pooling_size, 2),
            "depths": (tuple(googlenet.depths), (2, 5, 2)),
        }
    )
    return {
        "image_size": googlenet.image_size,
        "num_channels": googlenet.num_channels,
        "hidden_sizes": googlenet.stem_sizes,
        "mixed_sizes": googlenet.inception_sizes,
        "padding": "symmetric",
        "batch_norm_eps": googlenet.batch_norm_eps,
        "classifier_dropout": googlenet.classifier_dropout,
    }


GOOGLENET_NAMES = {
    "conv3d_1a_7x7": "conv1.conv1.layers",
    "conv3d_2b_1x1": "conv2.reduce2.layers",
    "conv3d_2c_3x3": "conv2.conv2.layers",
    "branch_0": "branch_1x1",
    "branch_1": "branch_3x3",
    "branch_2": "branch_5x5",
    "branch_3": "branch_pooled",
}


def googlenet_name(name: str, _googlenet: Any) -> str:
    def inception(match: re.Match[str]) -> str:
        return f"inception{match[1]}{chr(ord(match[2]) - 1)}"  # I3D counts the pooling: 3b is the first

    parts = [GOOGLENET_NAMES.get(part, part) for part in name.split(".")]
    return re.sub(r"\bmixed_(\d)(\w)", inception, re.sub(r"^i3d\.", "googlenet.", ".".join(parts)))


def video_resnet_fields(resnet: Any) -> dict[str, Any]:
    expansion = 4 if resnet.layer_type == "bottleneck" else 1
    hidden_sizes = [size // expansion for size in resnet.hidden_sizes]
    refuse(
        {
            "embedding_size": (resnet.embedding_size, hidden_sizes[0]),
            "hidden_act": (resnet.hidden_act, "relu"),
            "downsample_in_first_stage": (resnet.downsample_in_first_stage, False),
            "downsample_in_bottleneck": (resnet.downsample_in_bottleneck, False),
        }
    )
    return {
        "image_size": 224,
        "num_channels": resnet.num_channels,
        "depths": resnet.depths,
        "hidden_sizes": hidden_sizes,
        "block": resnet.layer_type,
        "convolutions": ["3d"] * len(hidden_sizes),
        "stem_frames": 7,
        "is_stem_pooled": True,
    }


def resnet_name(name: str, _resnet: Any) -> str:
    name = re.sub(r"^video_resnet\.stem\.", "resnet.embedder.embedder.", name)
    name = re.sub(r"^video_resnet\.stages\.(\d+)\.(\d+)\.", r"resnet.encoder.stages.\1.layers.\2.", name)
    name = re.sub(r"\.layers\.conv(\d)\.", lambda match: f".layer.{int(match[1]) - 1}.", name)
    return re.sub(r"^classifier\.", "classifier.1.", name.replace(".norm.", ".normalization."))


def c3d_fields(vgg: Any) -> dict[str, Any]:
    stages = range(1, len(vgg.depths) + 1)
    sizes = vgg.fully_connected_sizes
    refuse(
        {
            "kernel_sizes": (set(vgg.kernel_sizes), {3}),
            **{name: (set(getattr(vgg, name)), {1}) for name in ("strides", "paddings", "groups")},
            "normalized_stages": (tuple(vgg.normalized_stages), ()),
            "pooled_stages": (tuple(vgg.pooled_stages), tuple(stages)),
            "pooling_size": (vgg.pooling_size, 2),
            "pooling_stride": (vgg.pooling_stride, 2),
            "is_pooling_ceiled": (vgg.is_pooling_ceiled, False),
            "fully_connected_sizes": (tuple(sizes), (sizes[-1],) * 2),
            "pooled_size": (vgg.grid, vgg.map_side(vgg.image_size)),
        }
    )
    return {
        "image_size": vgg.image_size,
        "num_channels": vgg.num_channels,
        "depths": vgg.depths,
        "hidden_sizes": vgg.hidden_sizes,
        "fully_connected_size": sizes[-1],
        "has_batch_norm": vgg.has_batch_norm,
        "is_last_pooling_padded": False,
        "classifier_dropout": vgg.classifier_dropout,
    }


def vgg_name(name: str, vgg: Any) -> str:
    """C3D's stages number every layer, with ReLU; its fully connected ones are called fc6 and fc7 after any number."""

    def convolution(match: re.Match[str]) -> str:
        stage, depth = int(match[1]) + 1, vgg.depths[int(match[1])]
        place, part = divmod(int(match[2]), 3 if vgg.has_batch_norm else 2)
        block = f"conv{stage}" if depth == 1 else f"conv{stage}_{place + 1}"
        return f"vgg.conv{stage}.{block}.layers.{('convolution', 'norm')[part]}."

    name = re.sub(r"^c3d\.stages\.(\d+)\.layers\.(\d+)\.", convolution, name)
    return re.sub(r"^c3d\.fc(\d)", lambda match: f"vgg.fc{int(match[1]) - 5 + len(vgg.depths)}", name)


# By the model_type of the image network.
INFLATIONS = {
    "googlenet": Inflation(
        "GoogLeNet with batch norm (becomes I3D)", I3DConfig, I3DForVideoClassification, i3d_fields, googlenet_name
    ),
    "resnet": Inflation(
        "ResNet of transformers (becomes R3D)",
        VideoResNetConfig,
        VideoResNetForVideoClassification,
        video_resnet_fields,
        resnet_name,
    ),
    "vgg": Inflation("VGG (becomes C3D)", C3DConfig, C3DForVideoClassification, c3d_fields, vgg_name),
}
