"""What networks take, by name: the axes of each input, and how it is described to people.

A shape is that of one input without the batch, as `config.input_shapes()` has it. The names are those of the network's
own `forward`. A name that is not listed here works as well; only its axes have no names.
"""

from collections.abc import Mapping

Shape = tuple[int, ...]

CHANNELS = "channels"
AXES: dict[str, tuple[str, ...]] = {
    "pixel_values": (CHANNELS, "height", "width"),
    "pixel_values_videos": ("frames", CHANNELS, "height", "width"),
    "flow_values": ("frames", CHANNELS, "height", "width"),
    "input_values": ("samples",),
    "spectrogram": ("windows", "bands"),
    "input_ids": ("tokens",),
}
# In words; {size} is the height and the width.
WORDS = {
    "pixel_values": "{size}",
    "pixel_values_videos": "{frames} frames of {size}",
    "flow_values": "optical flow of {frames} frames of {size}",
    "input_values": "{samples} samples of sound",
    "spectrogram": "{windows} windows of sound in {bands} bands",
    "input_ids": "{tokens} tokens of text",
}
# Which frames of a short video are real, (T,). Networks with `takes_frame_mask` take it beside their inputs.
FRAME_MASK = "frame_mask"


def get_kind(name: str, shape: Shape) -> str:
    """What an input is called in the tables here: clips may be `pixel_values`, and spectrograms `input_values`."""
    return {("pixel_values", 4): "pixel_values_videos", ("input_values", 2): "spectrogram"}.get(
        (name, len(shape)), name
    )


def name_axes(name: str, shape: Shape) -> tuple[str, ...]:
    """The names of an input's axes, or their sizes where nothing is known of the input."""
    axes = AXES.get(get_kind(name, shape), ())
    return axes if len(axes) == len(shape) else tuple(map(str, shape))


def is_picture(name: str) -> bool:
    """Whether an input has pictures, or what lies in their places, such as flow."""
    return AXES.get(name, ())[-2:] == ("height", "width")


def count_channels(name: str, shape: Shape) -> int | None:
    """How many channels an input has, where one of its axes is known to be that of the channels."""
    axes = name_axes(name, shape)
    return shape[axes.index(CHANNELS)] if CHANNELS in axes else None


def describe_axes(name: str, shape: Shape) -> str:
    """The axes of a batch, as an error message shows them: "batch, frames, 3 channels, height, width"."""
    axes = zip(name_axes(name, shape), shape, strict=True)
    return ", ".join(["batch", *(f"{size} {axis}" if axis == CHANNELS else axis for axis, size in axes)])


def shorten_shapes(shapes: Mapping[str, Shape]) -> str:
    """The sizes of all inputs without their channels: "16×112×112", or "16×112×112 + 16000" for two."""
    return " + ".join(
        "×".join(str(size) for axis, size in zip(name_axes(name, shape), shape, strict=True) if axis != CHANNELS)
        for name, shape in shapes.items()
    )


def describe_shapes(shapes: Mapping[str, Shape], *, with_channels: bool = False) -> str:
    """All inputs in words: "16 frames of 112×112", or "16 frames of 3×112×112" with channels."""
    return " and ".join(describe_shape(name, shape, with_channels) for name, shape in shapes.items())


def describe_shape(name: str, shape: Shape, with_channels: bool) -> str:
    kind, axes = get_kind(name, shape), name_axes(name, shape)
    if kind not in WORDS or axes != AXES[kind]:
        return f"{name} of {'×'.join(map(str, shape))}"
    sizes = dict(zip(axes, shape, strict=True))
    shown = [axis for axis in (CHANNELS, "height", "width") if axis in sizes and (with_channels or axis != CHANNELS)]
    return WORDS[kind].format(size="×".join(str(sizes[axis]) for axis in shown), **sizes)
