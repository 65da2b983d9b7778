"""How videos are judged, by name, and what that asks of a processor."""

from typing import TYPE_CHECKING, Any

from muybridge.types import Protocol

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

PROTOCOLS = {
    # The middle of the video, once: what training watches, and what papers call clip accuracy.
    "clip": Protocol(),
    # Ten clips evenly over the video, the middle of each: Tran et al. 2018.
    "video-10x1": Protocol(num_clips=10),
    # Ten clips, and three squares along the longer side of each: Wang et al. 2018, Feichtenhofer et al. 2019.
    "video-10x3": Protocol(num_clips=10, num_crops=3),
    # 25 equally spaced frames, their corners and middles, mirrored too: Simonyan & Zisserman 2014.
    "frames-25x10": Protocol(num_clips=25, num_crops=10, sampling="dense", num_frames=1, frame_stride=1),
}


def get_protocol(name: str | Protocol | None, config: "PreTrainedConfig | None" = None) -> Protocol:
    """The protocol of that name; with None the one that the model's config names, or else one clip."""
    if isinstance(name, Protocol):
        return name
    if name is None:
        get_own = getattr(config, "get_protocol", Protocol)  # other libraries' configs state none
        return get_own()
    if name not in PROTOCOLS:
        raise ValueError(f"the protocol {name!r} is not known; known are {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def make_processor_arguments(protocol: Protocol, processor: Any) -> dict[str, Any]:
    """What a processor is called with, so that it makes the protocol's views."""
    names = ["num_clips", "num_crops", "num_frames", "sampling", "frame_stride", "fps"]
    parts = getattr(processor, "parts", {}).values()
    if protocol.num_crops == 1 and not any(part.has_pictures for part in parts):
        names.remove("num_crops")  # which sound does not know
    arguments: dict[str, Any] = {name: getattr(protocol, name) for name in names if getattr(protocol, name) is not None}
    if protocol.short_side is not None:
        arguments["size"] = {"shortest_edge": protocol.short_side}
    if protocol.crop_size is not None:
        arguments["crop_size"] = {"height": protocol.crop_size, "width": protocol.crop_size}
    return arguments
