"""Where a checkpoint is opened: a folder or a name on the Hub becomes a network and its processor."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import AutoConfig, PreTrainedConfig
from transformers.models.auto.video_processing_auto import get_video_processor_config, video_processor_class_from_name

from muybridge.models.adapters import adapt, find_input_shape
from muybridge.models.registry import ARCHITECTURES, Architecture, get_architecture
from muybridge.processing import JointProcessor, VideoProcessor, register_processor
from muybridge.processing.clip_processor import ClipProcessor

# Which of the arguments of from_pretrained say where a file is.
PLACES = ("cache_dir", "force_download", "local_files_only", "revision", "token")
# What the files of transformers' processors say of pixels, and ours too.
PIXEL_FIELDS = (
    "do_resize", "size", "resample", "do_center_crop", "crop_size", "do_rescale", "rescale_factor", "do_normalize",
    "image_mean", "image_std",
)  # fmt: skip


@register_processor
class PixelValuesVideoProcessor(VideoProcessor):
    """Clips for networks that call them `pixel_values`, as most of transformers' do."""

    model_input_names = ["pixel_values"]  # noqa: RUF012  # as transformers has it


def load_model(name: str | Path, **options: Any) -> Any:
    """The network of a checkpoint, of whatever task, ours or transformers'; it understands the vocabulary.

    `options` are those of `from_pretrained`: `dtype`, `device_map`, `revision`, fields of the config …
    """
    task = find_architecture_of(name, options).get_task()
    return adapt(task.get_auto_class().from_pretrained(name, **options))


def load_processor(name: str | Path, **fields: Any) -> Any:
    """The processor that was saved with a checkpoint; `fields` are those of its arguments that are to be others.

    For videos it is always one of ours: with a network of transformers, one with the numbers of the checkpoint's own.
    """
    places = {key: fields.pop(key) for key in PLACES if key in fields}
    architecture = find_architecture_of(name, places)
    task = architecture.get_task()
    if architecture.name in ARCHITECTURES or task.thing != "video":
        return task.get_auto_processor().from_pretrained(name, **places, **fields)
    saved = get_video_processor_config(name, **places)
    if not saved:
        raise OSError(
            f"{name} has no video_preprocessor_config.json and no preprocessor_config.json: it has no processor"
        )
    own_class = find_own_processor(saved)
    if own_class is not None:
        return own_class.from_pretrained(name, **places, **fields)
    config = AutoConfig.from_pretrained(name, **places)
    return make_processor_like(saved, config, architecture, **fields)


def find_own_processor(saved: Mapping[str, Any]) -> Any:
    """The class of ours that wrote a processor's file; None where transformers' did."""
    found = video_processor_class_from_name(str(saved.get("video_processor_type")))
    is_ours = isinstance(found, type) and issubclass(found, ClipProcessor | JointProcessor)
    return found if is_ours else None


def find_architecture_of(name: str | Path, options: Mapping[str, Any]) -> Architecture:
    places = {key: value for key, value in options.items() if key in PLACES}
    return get_architecture(AutoConfig.from_pretrained(name, **places).model_type)


def make_processor_like(
    saved: Mapping[str, Any], config: PreTrainedConfig, architecture: Architecture, **fields: Any
) -> VideoProcessor:
    """Our processor with the numbers of the file of one of transformers'.

    What the file leaves out is as the architecture's `processor_fields` have it.
    """
    stated = {name: value for name, value in {**architecture.processor_fields, **saved}.items() if value is not None}
    numbers = {name: stated[name] for name in PIXEL_FIELDS if name in stated}
    numbers["do_center_crop"] = bool(numbers.get("do_center_crop") and numbers.get("crop_size"))
    for name, as_dict in (("size", as_shortest_edge), ("crop_size", as_square)):
        if isinstance(numbers.get(name), int):
            numbers[name] = as_dict(numbers[name])
    if stated.get("offset") and numbers.get("do_rescale", True):
        numbers |= subtract_one(numbers)
    is_plain = architecture.task_model.main_input_name == "pixel_values_videos"
    processor_class = VideoProcessor if is_plain else PixelValuesVideoProcessor
    return processor_class(**{"num_frames": find_input_shape(config)[0], **numbers, **fields})


def subtract_one(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers that also subtract one between rescaling and normalising."""
    is_normalized = numbers.get("do_normalize", True)
    mean, std = (numbers["image_mean"], numbers["image_std"]) if is_normalized else ([0.0] * 3, [1.0] * 3)
    return {"do_normalize": True, "image_mean": [1.0 + value for value in mean], "image_std": list(std)}


def as_shortest_edge(side: int) -> dict[str, int]:
    return {"shortest_edge": side}


def as_square(side: int) -> dict[str, int]:
    return {"height": side, "width": side}
