"""Weights of hassony2/kinetics_i3d_pytorch: DeepMind's I3D, ported.

Its code pads images whose side is no multiple of 16 otherwise than TensorFlow does; ours pads every size as the
network was trained.
"""

from muybridge.conversion.deepmind import PROTOCOL
from muybridge.conversion.sources import Source, flatten_tensor
from muybridge.models.i3d import I3DFlowProcessor, I3DVideoProcessor
from muybridge.processing import FlowProcessor, VideoProcessor


def make_source(name: str, modality: str, processor_class: type[VideoProcessor | FlowProcessor]) -> Source:
    return Source(
        name=f"hassony2/{name}",
        fields={"modality": modality},
        renames=[
            (r"^i3d\.", ""),
            (r"\.convolution\.", ".conv3d."),
            (r"\.norm\.", ".batch3d."),
            (r"^head\.classifier\.", "conv3d_0c_1x1.conv3d."),
        ],
        classifier="conv3d_0c_1x1.conv3d.weight",
        protocol=PROTOCOL,
        processor_class=processor_class,
        adapt=flatten_tensor("conv3d_0c_1x1.conv3d.weight"),
    )


SOURCES = [make_source("i3d_rgb", "rgb", I3DVideoProcessor), make_source("i3d_flow", "flow", I3DFlowProcessor)]
