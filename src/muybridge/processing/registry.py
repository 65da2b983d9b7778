"""Processors by name: what a saved processor calls itself is found here and by AutoVideoProcessor."""

from typing import Any, TypeVar

from transformers.models.auto.video_processing_auto import AutoVideoProcessor, video_processor_class_from_name

Class = TypeVar("Class", bound=type)


def register_processor(processor: Class) -> Class:
    """Makes a class known by its name, also where it is not the processor of any architecture; a decorator."""
    AutoVideoProcessor.register(processor, processor, exist_ok=True)
    return processor


def find_processor(name: str) -> Any:
    """The class of this name."""
    found = video_processor_class_from_name(name)
    if found is None:
        raise ValueError(f"there is no processor {name!r}; import what defines it, and register it")
    return found
