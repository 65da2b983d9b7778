"""Weights of DavideA/c3d-pytorch: the Sports-1M C3D of the paper's authors, ported."""

from muybridge.conversion.sources import Source

SOURCES = [
    Source(
        name="davidea/c3d",
        architecture_name="c3d",
        fields={},
        renames=[
            (r"^conv1\.", "c3d.stages.0.layers.0."),
            (r"^conv2\.", "c3d.stages.1.layers.0."),
            (r"^conv(\d)a\.", lambda match: f"c3d.stages.{int(match[1]) - 1}.layers.0."),
            (r"^conv(\d)b\.", lambda match: f"c3d.stages.{int(match[1]) - 1}.layers.2."),
            (r"^(fc[67])\.", r"c3d.\1.0."),
            (r"^fc8\.", "classifier."),
        ],
        classifier="fc8.weight",
        licence="mit",
        homepage="https://github.com/DavideA/c3d-pytorch",
        datasets=["sports1m"],
        labels={487: "sports1m"},
        processor={"size": {"height": 112, "width": 200}},
    )
]
