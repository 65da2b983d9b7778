"""What transformers' pipeline() runs, with more of what videos need."""

from muybridge.pipelines.video_classification import VideoClassificationPipeline

__all__ = ["VideoClassificationPipeline"]
