"""Weights of DavideA/c3d-pytorch: the Sports-1M C3D of the paper's authors, ported."""

from muybridge.conversion.sources import Source

SOURCES = [
    Source(
        name="davidea/c3d",
        fields={},
        renames=[
            (r"^c3d\.stages\.([01])\.layers\.0\.", lambda match: f"conv{int(match[1]) + 1}."),
            (r"^c3d\.stages\.(\d)\.layers\.0\.", lambda match: f"conv{int(match[1]) + 1}a."),
            (r"^c3d\.stages\.(\d)\.layers\.2\.", lambda match: f"conv{int(match[1]) + 1}b."),
            (r"^c3d\.(fc[67])\.0\.", r"\1."),
            (r"^head\.classifier\.", "fc8."),
        ],
        classifier="fc8.weight",
        processor={"size": {"height": 112, "width": 200}},
    )
]
