"""How our processors take arguments: the call's, or the saved file's, or the class's; and none unknown."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from huggingface_hub.dataclasses import validate_typed_dict
from PIL.Image import Resampling
from transformers.image_processing_utils import BaseImageProcessor
from transformers.image_utils import SizeDict

from muybridge.processing import inputs
from muybridge.video.geometry import Size

# What transformers writes into a processor's file beside its arguments.
KEYS_OF_TRANSFORMERS = frozenset(
    {"auto_map", "feature_extractor_type", "image_processor_type", "processor_class", "video_processor_type"}
)

INTERPOLATION_OF_RESAMPLE = {Resampling.BILINEAR: "bilinear", Resampling.BICUBIC: "bicubic"}


class CheckedProcessor(BaseImageProcessor):
    """A processor that refuses arguments it does not know, and keeps a None that it is given."""

    default_to_square = False

    def __init__(self, **kwargs: Any) -> None:
        arguments = {name: value for name, value in kwargs.items() if name not in KEYS_OF_TRANSFORMERS}
        self._check(arguments)
        super().__init__(**kwargs)
        self._set_attributes(**kwargs)
        # transformers takes None for "not given" and falls back on the class; here `fps=None` means no fps.
        for name, value in arguments.items():
            if value is None:
                setattr(self, name, None)

    def _check(self, arguments: Mapping[str, Any]) -> None:
        known = self.valid_kwargs.__annotations__
        unknown = sorted(set(arguments) - set(known))
        if unknown:
            raise TypeError(
                f"{type(self).__name__} has no argument {', '.join(unknown)}; it has {', '.join(sorted(known))}"
            )
        given = {name: dict(value) if isinstance(value, SizeDict) else value for name, value in arguments.items()}
        validate_typed_dict(self.valid_kwargs, given)

    def make_settings(self, arguments: Mapping[str, Any]) -> SimpleNamespace:
        """Every argument's value for one call: the call's, or else this processor's own."""
        self._check(arguments)
        own = {name: getattr(self, name, None) for name in self.valid_kwargs.__annotations__}
        merged = self._standardize_kwargs(**{**own, **arguments})
        self._validate_preprocess_kwargs(**merged)
        settings = SimpleNamespace(**merged)
        if settings.do_pad:
            raise ValueError(
                "do_pad is True; frames are padded by do_center_crop, where they are smaller than crop_size"
            )
        if settings.data_format not in (None, inputs.CHANNELS_FIRST):
            raise ValueError(f"data_format is {settings.data_format!r}; models take {inputs.CHANNELS_FIRST!r} only")
        return settings


def to_target_size(size: SizeDict) -> Size:
    """The size that `functional.resize` takes."""
    given = dict(size)
    if set(given) == {"shortest_edge"}:
        return size.shortest_edge
    return require_exact_size(size)


def require_exact_size(size: SizeDict) -> tuple[int, int]:
    given = dict(size)
    if set(given) != {"height", "width"}:
        raise ValueError(
            f'size is {given}; it must be {{"height": …, "width": …}}, or {{"shortest_edge": …}} to resize'
        )
    return size.height, size.width


def find_interpolation(resample: int) -> str:
    """The name of PIL's filter."""
    if resample not in INTERPOLATION_OF_RESAMPLE:
        names = ", ".join(f"{filter_.value} ({name})" for filter_, name in INTERPOLATION_OF_RESAMPLE.items())
        raise ValueError(f"resample is {resample!r}; it must be one of {names}")
    return INTERPOLATION_OF_RESAMPLE[Resampling(resample)]
