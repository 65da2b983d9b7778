"""`ClipMaker`: readers become the inputs of a model, for training, evaluation and everything else.

Shapes: V views, U frames that any view needs, T frames of a view, C channels, H×W pixels.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from muybridge.processing.changes import Change, Compose, RandomChange
from muybridge.processing.frame_selection import share_frames
from muybridge.processing.parts import Lead, PartedProcessor, Span, find_edges
from muybridge.types import Clip, Protocol
from muybridge.video import Reader
from muybridge.video.geometry import Size
from muybridge.video.source import BorrowedSource, make_source

if TYPE_CHECKING:
    from muybridge.processing.clip_processor import ClipProcessor


@dataclass(frozen=True)
class View:
    """One look at a clip, or several of the same kind.

    is_random: whether its frames are drawn in time; else they lie where the processor's settings put them.
    changes: random changes of the frames, in the place of the processor's crops. They come after its resize.
    fields: arguments of the processor that differ here, such as `num_frames`, `fps`, `size` or `num_clips`. Those of
        one input among several stand under its name: `{"flow_values": {"num_frames": 10}}`.
    count: how many times it is drawn.

    What is random takes one clip and one crop where `fields` do not say otherwise, whatever the processor's own.
    """

    is_random: bool = False
    changes: Sequence[RandomChange] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    count: int = 1

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count is {self.count}; it must be 1 or more")
        if self.count > 1 and not self.draws:
            raise ValueError(f"count is {self.count}, and nothing is drawn: the views would be the same one")

    @property
    def draws(self) -> bool:
        """Whether anything is left to chance."""
        return self.is_random or bool(self.changes)


class ClipMaker:
    """Makes named views of clips, each as the inputs of a model by their names.

        maker = ClipMaker(processor, {"clip": View(is_random=True, changes=make_training_changes())})
        with maker.open("clip.mp4") as readers:
            inputs = maker.make(readers, generator)["clip"]

    Each frame is decoded once for all views. Inputs of several modalities are in step: they show the same time, cut and
    mirrored alike. Where nothing is drawn, a view is what the processor gives, to the bit.

    An input is (T, ...), or (V, T, ...) where a view has several: `count` times `num_clips` times `num_crops`. Where
    the processor's `return_mask` is on, `frame_mask` (T,) or (V, T) stands beside the inputs.
    """

    def __init__(self, processor: PartedProcessor, views: Mapping[str, View]) -> None:
        if not views:
            raise ValueError("there are no views to make")
        self.processor = processor
        self.views = dict(views)
        self._plans = {name: _Plan(processor, view) for name, view in views.items()}

    @property
    def parts(self) -> "dict[str, Part]":
        """The inputs by name, with the settings of the first view."""
        return next(iter(self._plans.values())).parts

    @property
    def sources(self) -> list[str]:
        """The names of the readers that are needed."""
        return list(dict.fromkeys(part.source for part in self.processor.parts.values()))

    @property
    def draws(self) -> bool:
        """Whether anything is left to chance."""
        return any(view.draws for view in self.views.values())

    @contextmanager
    def open(
        self,
        source: Any,
        *,
        fps: float | None = None,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
    ) -> Iterator[dict[str, Reader]]:
        """The readers that the processor takes, of one source, or of several by name: {"video": …, "sound": …}.

        A reader that is handed in stays open, as it is its owner's. `fps` is the rate of frames in memory.
        """
        with ExitStack() as stack:
            readers: dict[str, Reader] = {}
            shared = _share_source(source, stack)
            for part in self.parts.values():
                name = part.processor.source
                if name not in readers:
                    each = _pick_source(shared, name)
                    readers[name] = _open_reader(each, part, fps, Span(start_seconds, end_seconds), stack)
            yield readers

    def make(self, readers: Mapping[str, Reader], generator: Generator | None = None) -> dict[str, dict[str, Tensor]]:
        """The inputs of each view."""
        return {name: made.drop_single_axis() for name, made in self.make_all(readers, generator).items()}

    def make_all(self, readers: Mapping[str, Reader], generator: Generator | None = None) -> "dict[str, MadeView]":
        """As `make`, with the axis of views also where there is one, and with the clips that were chosen."""
        if generator is None and self.draws:
            names = ", ".join(name for name, view in self.views.items() if view.draws)
            raise ValueError(f"the views {names} are drawn at random; pass a generator")
        chosen = {name: plan.choose_clips(readers, generator) for name, plan in self._plans.items()}
        needs = {name: plan.list_needs(chosen[name], readers) for name, plan in self._plans.items()}
        frames = _decode([need for each in needs.values() for need in each.values()], readers)
        made = {}
        for name, plan in self._plans.items():
            shown = {part: _select(frames[need.source], need) for part, need in needs[name].items()}
            made[name] = plan.make_view(chosen[name], shown, generator)
        return made


@dataclass(frozen=True)
class MadeView:
    """The inputs of a view (V, T, ...) by name, and the clips of each part."""

    inputs: dict[str, Tensor]
    clips: dict[str, list[Clip]]

    def drop_single_axis(self) -> dict[str, Tensor]:
        return {name: value[0] if len(value) == 1 else value for name, value in self.inputs.items()}


class Part(NamedTuple):
    """One input: who makes it, and with which settings."""

    processor: "ClipProcessor"
    settings: SimpleNamespace


class _Need(NamedTuple):
    """The frames (U,) that one input of a view needs, and their size."""

    source: str
    size: Size | None
    indices: NDArray[np.int64]
    clips: list[Clip]  # as places among `indices`


class _Shown(NamedTuple):
    """Frames (U, ...) of one input of a view, and the clips as places among them."""

    frames: Tensor
    clips: list[Clip]


_Decoded = dict[Size | None, tuple[NDArray[np.int64], Tensor]]  # of one source: numbers of frames, and the frames


class _Plan:
    """A view with the settings of each part, checked when it is made rather than in a worker."""

    def __init__(self, processor: PartedProcessor, view: View) -> None:
        self.view = view
        self.changes = Compose(view.changes) if view.changes else None
        self.lead = processor.lead
        defaults = {"num_clips": 1, "num_crops": 1} if view.draws else {}
        arguments = split_arguments(processor.parts, {**defaults, **view.fields})
        self.parts = {name: Part(part, part.make_settings(arguments[name])) for name, part in processor.parts.items()}
        if view.changes and not any(part.processor.has_pictures for part in self.parts.values()):
            raise ValueError("the view has changes, and no input of this processor has pictures that can be changed")
        for part in self.parts.values():
            part.processor.check_settings(part.settings, is_random=view.is_random)
            num_crops = part.settings.num_crops
            Protocol(part.settings.num_clips, num_crops)  # refuses numbers of views that cannot be
            if self.changes and num_crops != 1:
                raise ValueError(
                    f"num_crops is {num_crops} in a view with changes, which take the place of crops; use 1"
                )

    def choose_clips(self, readers: Mapping[str, Reader], generator: Generator | None) -> dict[str, list[Clip]]:
        """The clips of each part; the lead chooses, and the others follow it."""
        processor, settings = self.parts[self.lead]
        reader = readers[processor.source]
        drawn = generator if self.view.is_random else None
        clips = [clip for _ in range(self.view.count) for clip in processor.choose_clips(reader, settings, drawn)]
        chosen = dict.fromkeys(self.parts, clips)
        if len(self.parts) > 1:
            edges_seconds = find_edges(reader, settings)
            leads = [Lead(clip, edges_seconds, settings) for clip in clips]
            for name, part in self.parts.items():
                if name != self.lead:
                    own = readers[part.processor.source]
                    chosen[name] = [part.processor.follow(own, part.settings, lead) for lead in leads]
        return chosen

    def list_needs(self, chosen: Mapping[str, list[Clip]], readers: Mapping[str, Reader]) -> dict[str, _Need]:
        needs = {}
        for name, (processor, settings) in self.parts.items():
            size = processor.choose_decoding_size(readers[processor.source], settings)
            needs[name] = _Need(processor.source, size, *share_frames(chosen[name]))
        return needs

    def make_view(
        self, chosen: dict[str, list[Clip]], shown: Mapping[str, _Shown], generator: Generator | None
    ) -> MadeView:
        prepared = {
            name: part.processor.prepare(shown[name].frames, part.settings) for name, part in self.parts.items()
        }
        changes = self.draw_changes(prepared, len(chosen[self.lead]), generator)
        values = {
            name: part.processor.make_values(prepared[name], shown[name].clips, part.settings, changes)
            for name, part in self.parts.items()
        }
        num_views = max(map(len, values.values()))
        inputs = {name: _repeat_views(value, num_views, name) for name, value in values.items()}
        for name, part in self.parts.items():
            if part.settings.return_mask:
                masks = torch.from_numpy(np.stack([clip.mask for clip in chosen[name]])).to(values[name].device)
                inputs["frame_mask"] = _repeat_views(masks, num_views, "frame_mask")
        return MadeView(inputs, chosen)

    def draw_changes(
        self, prepared: Mapping[str, Tensor], num_clips: int, generator: Generator | None
    ) -> list[Change] | None:
        """A change for each clip, the same for all parts."""
        if self.changes is None:
            return None
        pictures = (frames for name, frames in prepared.items() if self.parts[name].processor.has_pictures)
        height, width = next(pictures).shape[-2:]
        return [self.changes.draw(generator, (height, width)) for _ in range(num_clips)]


def split_arguments(parts: "Mapping[str, ClipProcessor]", arguments: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The arguments of each part: those under its own name, and of the others all that it knows."""
    known = {name: part.valid_kwargs.__annotations__ for name, part in parts.items()}
    shared = {name: value for name, value in arguments.items() if name not in parts}
    unknown = sorted(name for name in shared if not any(name in each for each in known.values()))
    if unknown:
        every = sorted({name for each in known.values() for name in each})
        whose = " or ".join(sorted({type(part).__name__ for part in parts.values()}))
        raise TypeError(f"{whose} has no argument {', '.join(unknown)}; it has {', '.join(every)}")
    return {
        name: {**{key: value for key, value in shared.items() if key in known[name]}, **arguments.get(name, {})}
        for name in parts
    }


def _share_source(source: Any, stack: ExitStack) -> Any:
    """A file that several readers may open: an address is downloaded once, and a pipe read once."""
    if isinstance(source, Mapping) and not {"path", "bytes"} & set(source):
        by_identity = {id(each): _share_source(each, stack) for each in source.values()}
        return {name: by_identity[id(each)] for name, each in source.items()}
    if isinstance(source, Reader | Tensor):
        return source
    if isinstance(source, Mapping):
        source = source.get("bytes") or source.get("path")
    shared = make_source(source)
    stack.callback(shared.close)
    return shared


def _pick_source(sources: Any, name: str) -> Any:
    if not isinstance(sources, Mapping):
        return sources
    if name not in sources:
        raise ValueError(f"the clip has {', '.join(sources)}, and the processor takes {name}; pass it too")
    return sources[name]


def _open_reader(source: Any, part: Part, fps: float | None, span: Span, stack: ExitStack) -> Reader:
    processor, settings = part
    if isinstance(source, Reader | Tensor):
        if span.is_segment:
            raise ValueError(
                f"start_seconds and end_seconds are {tuple(span)}; they are for files, not for what is open already"
            )
        reader = processor.hold(source, settings, fps) if isinstance(source, Tensor) else source
        processor.check_reader(reader, settings)
        return reader
    return stack.enter_context(processor.open_file(BorrowedSource(source), settings, span))


def _decode(needs: Sequence[_Need], readers: Mapping[str, Reader]) -> dict[str, _Decoded]:
    """The frames of all needs by source and size, each decoded once and made once in each size."""
    wanted: dict[str, dict[Size | None, list[NDArray[np.int64]]]] = {}
    for need in needs:
        wanted.setdefault(need.source, {}).setdefault(need.size, []).append(need.indices)
    decoded = {}
    for source, lists in wanted.items():
        numbers = {size: np.unique(np.concatenate(each)) for size, each in lists.items()}
        frames = readers[source].frames_at_sizes(numbers)
        decoded[source] = {size: (numbers[size], frames[size]) for size in numbers}
    return decoded


def _select(decoded: _Decoded, need: _Need) -> _Shown:
    numbers, frames = decoded[need.size]
    if len(numbers) > len(need.indices):
        frames = frames[torch.from_numpy(np.searchsorted(numbers, need.indices)).to(frames.device)]
    return _Shown(frames, need.clips)


def _repeat_views(values: Tensor, num_views: int, name: str) -> Tensor:
    """An input of one crop beside another of several: each clip as often as it has crops there."""
    if num_views % len(values):
        raise ValueError(
            f"{name} has {len(values)} views where another input has {num_views}; use num_crops=1, or the same"
        )
    return values if len(values) == num_views else values.repeat_interleave(num_views // len(values), dim=0)
