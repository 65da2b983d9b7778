"""How a ResNet of transformers becomes an R3D."""

import re
from typing import Any

from muybridge.models.inflation import Inflation, refuse
from muybridge.models.video_resnet import VideoResNetConfig, VideoResNetForVideoClassification


def make_fields(resnet: Any) -> dict[str, Any]:
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


def find_image_name(name: str, _resnet: Any) -> str:
    name = re.sub(r"^video_resnet\.stem\.", "resnet.embedder.embedder.", name)
    name = re.sub(r"^video_resnet\.stages\.(\d+)\.(\d+)\.", r"resnet.encoder.stages.\1.layers.\2.", name)
    name = re.sub(r"\.layers\.conv(\d)\.", lambda match: f".layer.{int(match[1]) - 1}.", name)
    return re.sub(r"^head\.classifier\.", "classifier.1.", name.replace(".norm.", ".normalization."))


INFLATION = Inflation(
    "ResNet of transformers (becomes R3D)",
    VideoResNetConfig,
    VideoResNetForVideoClassification,
    make_fields,
    find_image_name,
)
