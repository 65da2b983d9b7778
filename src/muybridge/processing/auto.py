"""transformers' Auto class of video processors, which is not among the names of its top level."""

from transformers.models.auto.video_processing_auto import AutoVideoProcessor

__all__ = ["AutoVideoProcessor"]
