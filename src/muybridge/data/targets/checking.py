"""Whether the targets of a clip fit its video and each other."""

from collections.abc import Iterator, Mapping

from muybridge.data.targets.base import Target
from muybridge.data.targets.names import Label, Labels
from muybridge.types import VideoMetadata


def find_target_faults(targets: Mapping[str, Target], video: VideoMetadata) -> Iterator[str]:
    """What contradicts the video, or what contradicts itself, a line each, after the kind."""
    for kind, target in targets.items():
        for fault in target.find_faults(video):
            yield f"{kind}: {fault}"
    label, labels = targets.get("label"), targets.get("labels")
    if isinstance(label, Label) and isinstance(labels, Labels) and label.name not in labels.names:
        yield f"label: {label.name!r} is not among the labels, which are {', '.join(labels.names) or 'none'}"
