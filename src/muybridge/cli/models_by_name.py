"""How commands open the model that a user names, and what they say where it cannot be opened."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from muybridge.cli.errors import CommandError

Loaded = TypeVar("Loaded")


def open_model(name: str, load: Callable[..., Loaded], **arguments: Any) -> Loaded:
    """`load(name)`, with the name in the message where it is not there or its config is broken."""
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    if Path(name).is_file():
        raise CommandError(f"the model {name!r} is a file; `muybridge convert` makes a model, a folder, of weights")
    hide_loading_bars()
    try:
        return load(name, **arguments)
    except (OSError, ImportError, TypeError, StrictDataclassError, SafetensorError) as error:
        raise CommandError(f"the model {name!r} cannot be loaded: {error}") from error


def hide_loading_bars() -> None:
    """Switches the bars of transformers off: they are for files that load in a moment."""
    from transformers.utils import logging

    logging.disable_progress_bar()


def refuse_images(name: str, config: Any) -> None:
    """Refuses a network for images where one for videos is asked for."""
    from muybridge.models.registry import ARCHITECTURES, list_architectures

    if config.model_type in list_architectures("image-classification"):
        on_frames = " or ".join(each.task_model.__name__ for each in ARCHITECTURES.values() if each.takes_backbone)
        raise CommandError(
            f"{name} is a {config.model_type}, a network for images: use it in pipeline('image-classification'), or "
            f"put it on frames with from_backbone of {on_frames}"
        )
