"""Weights of torchvision.models, for images."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from muybridge.conversion.sources import Renames, Source
from muybridge.models.alexnet import AlexNetConfig
from muybridge.models.vgg import VGGConfig

PIXELS = {
    "crop_size": {"height": 224, "width": 224},
    "rescale_factor": 1 / 255,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


def find_places(depths: Sequence[int], pooled_stages: Sequence[int], has_batch_norm: bool) -> dict[str, int]:
    """Where each convolution of a plain network stands in torchvision's list of layers, by our name of it."""
    places, place = {}, 0
    for stage, depth in enumerate(depths, start=1):
        for index in range(depth):
            places[f"conv{stage}" if depth == 1 else f"conv{stage}_{index + 1}"] = place
            place += 3 if has_batch_norm else 2  # the norm, and the activation
        place += stage in pooled_stages
    return places


def make_plain_renames(places: Mapping[str, int], linear_places: Sequence[int]) -> Renames:
    """`linear_places` are those of fc6, fc7 and the classifier in torchvision's list of its last layers."""
    fc6, fc7, classifier = linear_places
    return [
        (r"^head\.classifier\.", f"classifier.{classifier}."),
        (r"^\w+\.fc6\.0\.", f"classifier.{fc6}."),
        (r"^\w+\.fc7\.0\.", f"classifier.{fc7}."),
        (r"^\w+\.conv\d\.(\w+)\.layers\.convolution\.", lambda match: f"features.{places[match[1]]}."),
        (r"^\w+\.conv\d\.(\w+)\.layers\.norm\.", lambda match: f"features.{places[match[1]] + 1}."),
    ]


def make_vgg_source(name: str) -> Source:
    """VGG by the name of its preset."""
    fields = {**VGGConfig.PRESETS[name], "pooled_size": 7}
    places = find_places(fields["depths"], (1, 2, 3, 4, 5), fields.get("has_batch_norm", False))
    return Source(
        name=f"torchvision/vgg{name}",
        fields=fields,
        renames=make_plain_renames(places, (0, 3, 6)),
        classifier="classifier.6.weight",
    )


GOOGLENET_RENAMES: Renames = [
    (r"^head\.classifier\.", "fc."),
    (r"^head\.helpers\.inception4a\.", "aux1."),
    (r"^head\.helpers\.inception4d\.", "aux2."),
    (r"^(aux\d)\.convolution\.", r"\1.conv."),
    (r"^(aux\d)\.fully_connected\.0\.", r"\1.fc1."),
    (r"^(aux\d)\.classifier\.", r"\1.fc2."),
    (r"^googlenet\.conv1\.conv1\.", "conv1."),
    (r"^googlenet\.conv2\.reduce2\.", "conv2."),
    (r"^googlenet\.conv2\.conv2\.", "conv3."),
    (r"^googlenet\.(inception\d\w)\.", r"\1."),
    (r"\.branch_1x1\.", ".branch1."),
    (r"\.branch_3x3\.", ".branch2."),
    (r"\.branch_5x5\.", ".branch3."),
    (r"\.branch_pooled\.", ".branch4."),
    (r"\.layers\.", "."),
    (r"\.convolution\.", ".conv."),
    (r"\.norm\.", ".bn."),
]


def infer_head(state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
    """The published file has the helpers that served in training; many that were made of it do not."""
    has_helpers = any(name.startswith("aux1.") for name in state_dict)
    return {"head": {"name": "auxiliary" if has_helpers else "linear"}}


RESNET_RENAMES: Renames = [
    (r"^classifier\.1\.", "fc."),
    (r"^resnet\.embedder\.embedder\.convolution\.", "conv1."),
    (r"^resnet\.embedder\.embedder\.normalization\.", "bn1."),
    (r"^resnet\.encoder\.stages\.(\d)\.layers\.", lambda match: f"layer{int(match[1]) + 1}."),
    (r"\.layer\.(\d)\.convolution\.", lambda match: f".conv{int(match[1]) + 1}."),
    (r"\.layer\.(\d)\.normalization\.", lambda match: f".bn{int(match[1]) + 1}."),
    (r"\.shortcut\.convolution\.", ".downsample.0."),
    (r"\.shortcut\.normalization\.", ".downsample.1."),
]


def make_resnet_source(name: str, fields: Mapping[str, Any]) -> Source:
    """ResNet, with the stride of a bottleneck block in its 3×3 convolution."""
    return Source(
        name=f"torchvision/{name}",
        fields=fields,
        renames=RESNET_RENAMES,
        classifier="fc.weight",
    )


SOURCES = [
    Source(
        name="torchvision/alexnet",
        fields=AlexNetConfig.PRESETS["torchvision"],
        renames=make_plain_renames(find_places((1, 1, 1, 1, 1), (1, 2, 5), False), (1, 4, 6)),
        classifier="classifier.6.weight",
        processor=PIXELS,
    ),
    *map(make_vgg_source, VGGConfig.PRESETS),
    Source(
        name="torchvision/googlenet",
        fields={"transform_input": True, "head": {"name": "linear"}},
        renames=GOOGLENET_RENAMES,
        classifier="fc.weight",
        infer=infer_head,
    ),
    make_resnet_source(
        "resnet18", {"layer_type": "basic", "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512]}
    ),
    make_resnet_source(
        "resnet50", {"layer_type": "bottleneck", "depths": [3, 4, 6, 3], "hidden_sizes": [256, 512, 1024, 2048]}
    ),
]
