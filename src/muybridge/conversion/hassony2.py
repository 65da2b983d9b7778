"""Weights of hassony2/kinetics_i3d_pytorch: DeepMind's I3D, ported.

Its code pads images whose side is no multiple of 16 otherwise than TensorFlow does; ours pads every size as the
network was trained.
"""

from muybridge.conversion.deepmind import PROTOCOL
from muybridge.conversion.sources import Source, flattened
from muybridge.models.i3d import I3DFlowProcessor, I3DVideoProcessor
from muybridge.processing import FlowProcessor, VideoProcessor


def source(name: str, num_channels: int, processor_class: type[VideoProcessor | FlowProcessor]) -> Source:
    return Source(
        name=f"hassony2/{name}",
        fields={"num_channels": num_channels},
        renames=[
            (r"^i3d\.", ""),
            (r"\.convolution\.", ".conv3d."),
            (r"\.norm\.", ".batch3d."),
            (r"^classifier\.", "conv3d_0c_1x1.conv3d."),
        ],
        classifier="conv3d_0c_1x1.conv3d.weight",
        protocol=PROTOCOL,
        processor_class=processor_class,
        adapt=flattened("conv3d_0c_1x1.conv3d.weight"),
    )


SOURCES = [source("i3d_rgb", 3, I3DVideoProcessor), source("i3d_flow", 2, I3DFlowProcessor)]
