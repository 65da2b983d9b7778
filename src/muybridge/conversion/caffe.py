"""Weights of Caffe's model zoo, as `.caffemodel` files.

Their pixels lie in [0, 255], in the order blue, green, red, less a mean. Where that was a whole image, the processor
subtracts its mean colour.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from muybridge.conversion.sources import Renames, Source
from muybridge.models.alexnet import AlexNetConfig
from muybridge.models.googlenet import GoogLeNetConfig

Colour = tuple[float, float, float]  # blue, green, red

PLAIN_RENAMES: Renames = [
    (r"^\w+\.conv\d\.(conv\d(?:_\d)?)\.layers\.convolution\.", r"\1."),
    (r"^\w+\.(fc[67])\.0\.", r"\1."),
    (r"^head\.classifier\.", "fc8."),
]
GOOGLENET_RENAMES: Renames = [
    (r"^head\.classifier\.", "loss3/classifier."),
    (r"^head\.helpers\.inception4a\.", "loss1/"),
    (r"^head\.helpers\.inception4d\.", "loss2/"),
    (r"^(loss\d)/convolution\.layers\.convolution\.", r"\1/conv."),
    (r"^(loss\d)/fully_connected\.0\.", r"\1/fc."),
    (r"^googlenet\.conv1\.conv1\.layers\.convolution\.", "conv1/7x7_s2."),
    (r"^googlenet\.conv2\.reduce2\.layers\.convolution\.", "conv2/3x3_reduce."),
    (r"^googlenet\.conv2\.conv2\.layers\.convolution\.", "conv2/3x3."),
    (r"^googlenet\.inception(\d\w)\.", r"inception_\1/"),
    (r"/branch_1x1\.convolution\.", "/1x1."),
    (r"/branch_(\dx\d)\.0\.convolution\.", r"/\1_reduce."),
    (r"/branch_(\dx\d)\.1\.convolution\.", r"/\1."),
    (r"/branch_pooled\.1\.convolution\.", "/pool_proj."),
]

# Caffe's own networks saw pictures of any shape squeezed to a square.
SQUARE = {"size": {"height": 256, "width": 256}}
MEAN_OF_CAFFE = (104.0069879317889, 116.66876761696767, 122.6789143406786)
MEAN_OF_CNN_M = (102.717, 115.7726, 123.5094)
MEAN_OF_VGG = (103.939, 116.779, 123.68)


def make_pixel_fields(mean: Colour) -> dict[str, Any]:
    return {"rescale_factor": 1.0, "image_mean": list(mean), "image_std": [1.0, 1.0, 1.0], "channel_order": "bgr"}


def make_plain_source(name: str, fields: Mapping[str, Any], processor: Mapping[str, Any]) -> Source:
    return Source(
        name=f"caffe/{name}",
        fields=fields,
        renames=PLAIN_RENAMES,
        classifier="fc8.weight",
        processor=processor,
    )


def infer_head(state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
    """A network that was cut down to what tests need has no helpers."""
    return {} if "loss1/classifier.weight" in state_dict else {"head": {"name": "linear", "dropout": 0.4}}


SOURCES = [
    make_plain_source("alexnet", AlexNetConfig.PRESETS["caffe"], make_pixel_fields(MEAN_OF_CAFFE) | SQUARE),
    make_plain_source("caffenet", AlexNetConfig.PRESETS["caffenet"], make_pixel_fields(MEAN_OF_CAFFE) | SQUARE),
    make_plain_source("cnn_m_2048", {}, make_pixel_fields(MEAN_OF_CNN_M)),
    make_plain_source("vgg16", {}, make_pixel_fields(MEAN_OF_VGG)),
    make_plain_source("vgg19", {"depths": (2, 2, 4, 4, 4)}, make_pixel_fields(MEAN_OF_VGG)),
    Source(
        name="caffe/googlenet",
        fields=GoogLeNetConfig.PRESETS["2014"],
        renames=GOOGLENET_RENAMES,
        classifier="loss3/classifier.weight",
        processor=make_pixel_fields((104.0, 117.0, 123.0)) | SQUARE,
        infer=infer_head,
    ),
]
