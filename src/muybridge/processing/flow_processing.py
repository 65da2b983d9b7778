"""Optical flow becomes `flow_values`: sampled, resized, cropped, cut off, scaled."""

from types import SimpleNamespace
from typing import NoReturn

from torch import Tensor

from muybridge.processing.functional import Modality
from muybridge.processing.parts import Span
from muybridge.processing.picture_processor import PictureProcessor, PictureProcessorKwargs
from muybridge.processing.registry import register_processor
from muybridge.processing.steps import resize_frames
from muybridge.video import MemoryReader, Reader
from muybridge.video.source import Source


class FlowProcessorKwargs(PictureProcessorKwargs, total=False):  # type: ignore[call-arg]
    """What flow has and frames have not.

    flow_bound: flow is cut off at ±flow_bound pixels; None leaves it as it is.
    flow_scale: what it is multiplied with then.
    """

    flow_bound: float | None
    flow_scale: float


@register_processor
class FlowProcessor(PictureProcessor):
    """Optical flow to `flow_values` (B, L, 2, H, W), or (B, V, L, 2, H, W) where there are several views.

    - What can be handed in: floats (L, 2, H, W) or (L, H, W, 2), how many pixels things move to the right (u) and down
      (v) between a frame and the next; a batch or a list of these; or a reader of flow. `num_frames` counts flows.
    - Flow of frames that are resized becomes longer or shorter with them, and where crops are mirrored u is negated.
    """

    valid_kwargs = FlowProcessorKwargs
    model_input_names = ["flow_values"]
    modality: Modality = "flow"

    source = "flow"
    flow_bound: float | None = None
    flow_scale = 1.0

    def check_settings(self, settings: SimpleNamespace, *, is_random: bool) -> None:
        super().check_settings(settings, is_random=is_random)
        if settings.flow_bound is not None and not settings.flow_bound > 0:
            raise ValueError(f"flow_bound is {settings.flow_bound}; it must be positive, or None to cut nothing off")

    def check_reader(self, reader: Reader, settings: SimpleNamespace) -> None:
        if reader.modality != self.modality:
            refuse_video(reader.name)
        super().check_reader(reader, settings)
        if isinstance(reader, MemoryReader):
            check_flow(reader.frames)

    def open_file(self, source: Source, settings: SimpleNamespace, span: Span) -> Reader:  # noqa: ARG002
        refuse_video(source.name)

    def prepare(self, frames: Tensor, settings: SimpleNamespace) -> Tensor:
        flow = frames if settings.device is None else frames.to(settings.device)
        return resize_frames(flow, settings, self.modality)

    def write_values(self, frames: Tensor, settings: SimpleNamespace, out: Tensor) -> None:
        out.copy_(frames)
        if settings.flow_bound is not None:
            out.clamp_(-settings.flow_bound, settings.flow_bound)
        out.mul_(settings.flow_scale)


def refuse_video(name: str) -> NoReturn:
    raise ValueError(
        f"{name} was given to a processor of optical flow, which does not compute it: compute the flow between its "
        "frames first, and pass floats (T, 2, H, W) in pixels"
    )


def check_flow(flow: Tensor) -> None:
    if flow.ndim != 4 or flow.shape[-3] != 2 or not flow.is_floating_point():
        raise ValueError(
            f"{flow.dtype} of shape {tuple(flow.shape)} was given as optical flow; it must be floats (T, 2, H, W) in "
            "pixels"
        )
