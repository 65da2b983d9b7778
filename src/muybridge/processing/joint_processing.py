"""Several inputs of one model, in step: frames and sound, frames and flow, two cameras."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from transformers.image_processing_base import BatchFeature
from transformers.processing_utils import VideosKwargs
from transformers.video_processing_utils import VideoProcessorMixin

from muybridge.processing.batches import preprocess
from muybridge.processing.clip_maker import split_arguments
from muybridge.processing.clip_processor import ClipProcessor
from muybridge.processing.inputs import is_list
from muybridge.processing.registry import find_processor, register_processor


class JointProcessorKwargs(VideosKwargs, total=False):  # type: ignore[call-arg]
    """What a joint processor is saved as: its parts by the names of the inputs, and the name of the one that leads."""

    parts: Mapping[str, Any]
    lead: str


@register_processor
class JointProcessor(VideoProcessorMixin):
    """One processor for all inputs of a model; a call gives them all, of the same time, cut and mirrored alike.

        JointProcessor({"pixel_values_videos": VideoProcessor(fps=25, …), "input_values": SoundProcessor(…)})

    - A clip is one source of which every part reads what it takes, or several by the names that the parts' `source`
      says: `{"video": "clip.mp4", "sound": "clip.wav"}`. Several clips are a list.
    - The part called `lead`, the first one by default, chooses which frames are shown; the others show what is on
      display with each of its frames or, where they take other frames, have the same middle.
    - Arguments of a call go to every part that knows them; under the name of an input, to that part alone.
    """

    valid_kwargs = JointProcessorKwargs

    def __init__(self, parts: Mapping[str, Any], lead: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parts: dict[str, ClipProcessor] = {name: make_part(part) for name, part in parts.items()}
        if not self.parts:
            raise ValueError("a joint processor needs at least one part")
        self.lead = lead or next(iter(self.parts))
        if self.lead not in self.parts:
            raise ValueError(f"lead is {self.lead!r}; it must be one of the parts: {', '.join(self.parts)}")
        masked = [name for name, part in self.parts.items() if part.return_mask]
        if len(masked) > 1:
            raise ValueError(
                f"return_mask is True for {' and '.join(masked)}; there is one frame_mask: turn others off"
            )
        self.model_input_names = [self.lead, *(name for name in self.parts if name != self.lead)]

    @property
    def num_clips(self) -> int:
        """The clips of a video, which the lead chooses."""
        return self.parts[self.lead].num_clips

    @property
    def num_crops(self) -> int:
        """The crops of a clip."""
        return max(part.num_crops for part in self.parts.values())

    def preprocess(self, videos: Any, **kwargs: Any) -> BatchFeature:
        return preprocess(self, videos, kwargs)

    def sort_sources(self, videos: Any, settings: SimpleNamespace) -> list[Any]:
        """One entry a clip: a source, or a mapping of sources by name."""
        clips = videos if is_list(videos) and any(map(self.is_mapping_of_sources, videos)) else [videos]
        if not any(map(self.is_mapping_of_sources, clips)):
            return self.parts[self.lead].sort_sources(videos, settings)
        return [self.sort_mapping(clip, settings) for clip in clips]

    def is_mapping_of_sources(self, clip: Any) -> bool:
        return isinstance(clip, Mapping) and not {"path", "bytes"} & set(clip)

    def sort_mapping(self, clip: Any, settings: SimpleNamespace) -> Any:
        if not self.is_mapping_of_sources(clip):
            raise TypeError(f"a clip is {type(clip).__name__} where others are mappings of sources; give all alike")
        known = {part.source: part for part in self.parts.values()}
        unknown = sorted(set(clip) - set(known))
        if unknown:
            raise ValueError(f"the clip has {', '.join(unknown)}; the processor takes {', '.join(known)}")
        return {name: self.sort_one(known[name], source, settings) for name, source in clip.items()}

    def sort_one(self, part: ClipProcessor, source: Any, settings: SimpleNamespace) -> Any:
        sorted_sources = part.sort_sources(source, settings)
        if len(sorted_sources) != 1:
            raise ValueError(f"{len(sorted_sources)} clips were given as the {part.source} of one; give one")
        return sorted_sources[0]

    def to_dict(self) -> dict[str, Any]:
        return {
            "video_processor_type": type(self).__name__,
            "lead": self.lead,
            "parts": {name: part.to_dict() for name, part in self.parts.items()},
        }

    @classmethod
    def from_dict(cls, video_processor_dict: dict[str, Any], **kwargs: Any) -> Any:
        """A joint processor of what `to_dict` gave; further arguments are those of its parts."""
        returns_unused = kwargs.pop("return_unused_kwargs", False)
        saved = cls(**video_processor_dict)
        arguments = split_arguments(saved.parts, kwargs)
        parts = {name: type(part)(**{**part.to_dict(), **arguments[name]}) for name, part in saved.parts.items()}
        processor = cls(parts, saved.lead)
        return (processor, {}) if returns_unused else processor


def make_part(part: Any) -> ClipProcessor:
    """A part as it is, or of what was saved of it."""
    if isinstance(part, ClipProcessor):
        return part
    if isinstance(part, Mapping) and "video_processor_type" in part:
        return find_processor(part["video_processor_type"])(**part)
    raise TypeError(
        f"a part is {type(part).__name__}; it must be a VideoProcessor, a FlowProcessor, a SoundProcessor, or what one "
        "of them was saved as"
    )
