"""Weights of kenshohara/3D-ResNets-PyTorch (Hara et al.).

The order of their labels is that of first appearance in a CSV of the data set, which the weights do not record: so
labels stay numbers unless the user hands a list.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from muybridge.conversion.sources import Renames, Source

DEPTHS = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
    200: ("bottleneck", (3, 24, 36, 3)),
}

RENAMES: Renames = [
    (r"^video_resnet\.stages\.(\d)\.", lambda match: f"layer{int(match[1]) + 1}."),
    (r"^video_resnet\.stem\.", "conv1."),
    (r"^head\.classifier\.", "fc."),
    (r"\.shortcut\.convolution\.", ".downsample.0."),
    (r"\.shortcut\.norm\.", ".downsample.1."),
    (r"\.layers\.", "."),
    (r"\bconv(\d)\.convolution\.", r"conv\1."),
    (r"\bconv(\d)\.spatial\.", r"conv\1_s."),
    (r"\bconv(\d)\.spatial_norm\.", r"bn\1_s."),
    (r"\bconv(\d)\.temporal\.", r"conv\1_t."),
    (r"\bconv(\d)\.norm\.", r"bn\1."),
]


def infer(state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
    """The networks of the 2018 paper with 18 and 34 layers have shortcuts without parameters."""
    return {} if any(".downsample." in name for name in state_dict) else {"shortcut": "padding"}


def make_renames(block: str, is_factorised: bool) -> Renames:
    """The norm after a factorised convolution is called as its second half; a bottleneck factorises its second."""
    if not is_factorised:
        return RENAMES
    factorised = r"^conv1|\.conv[12]" if block == "basic" else r"^conv1|\.conv2"
    return [
        *RENAMES[:-1],
        (rf"({factorised})\.norm\.", lambda match: match[1].replace("conv", "bn") + "_t."),
        RENAMES[-1],
    ]


def make_source(name: str, depth: int, fields: Mapping[str, Any]) -> Source:
    block, depths = DEPTHS[depth]
    return Source(
        name=f"kenshohara/{name}_{depth}",
        fields={"block": block, "depths": depths, "stem_frames": 7, "is_stem_pooled": True, **fields},
        renames=make_renames(block, "stem_mid_channels" in fields),
        classifier="fc.weight",
        processor={
            "size": {"shortest_edge": 112},
            "image_mean": [0.4345, 0.4051, 0.3775],
            "image_std": [0.2768, 0.2713, 0.2737],
            "fps": None,
        },
        infer=infer,
    )


R2P1D = {"convolutions": ("2plus1d",) * 4, "stem_convolution": "2plus1d", "stem_mid_channels": 110}
SOURCES = [make_source("r3d", depth, {}) for depth in DEPTHS] + [
    make_source("r2p1d", depth, R2P1D) for depth in (18, 34, 50)
]
