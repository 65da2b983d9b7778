"""Muybridge: a model hub for video, built on transformers.

Importing it registers every architecture with transformers' Auto classes and pipeline(). The folders, in the order in
which a file becomes a label:

- `video`: a file becomes frames: the reader, the samplers, errors and what to do about them.
- `processing`: frames become `pixel_values_videos`.
- `models`: `pixel_values_videos` become features and logits; one folder an architecture.
- `conversion`: weights that others trained become checkpoints.
- `inference`: videos in, outputs in order out.
- `pipelines`: all of it in one call.
- `data`: which clips: folders, manifests, published lists, shards, streams; made ones.
- `training`: the loop on Accelerate, from settings to a checkpoint.
- `evaluation`: protocols, metrics, scores and their fusion, classifiers on features.
- `cards`, `checkpoints`, `publishing`: what is handed on.
- `processes`: those that were launched together.
- `cli`: the command `muybridge`.
"""

import importlib
import os
import sys
from typing import Any

# Threads of OpenMP spin while they wait for each other, and what decodes beside them does not get the processor: a step
# of training beside busy workers took seven times as long. It is read when torch is loaded, so it stands before that.
if "torch" not in sys.modules:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from muybridge import models

__version__ = "0.1.0"

# Where each public name is defined; it is imported when it is first used.
PUBLIC_NAMES = {
    "ARCHITECTURES": "muybridge.models",
    "AutoVideoProcessor": "transformers.models.auto.video_processing_auto",
    "Clip": "muybridge.types",
    "ErrorPolicy": "muybridge.video",
    "ImageProcessor": "muybridge.processing",
    "Protocol": "muybridge.types",
    "SOURCES": "muybridge.conversion",
    "VideoClassificationPipeline": "muybridge.pipelines",
    "VideoError": "muybridge.video",
    "VideoMetadata": "muybridge.types",
    "VideoProcessor": "muybridge.processing",
    "VideoReader": "muybridge.video",
    "TrainingSettings": "muybridge.training",
    "convert": "muybridge.conversion",
    "evaluate": "muybridge.evaluation",
    "extract_features": "muybridge.evaluation",
    "inflate": "muybridge.models.inflation",
    "load_videos": "muybridge.data",
    "optimize": "muybridge.models.optimization",
    "publish": "muybridge.publishing",
    "train": "muybridge.training",
}

__all__ = ["__version__", "models", *PUBLIC_NAMES]  # names, all of them


def __getattr__(name: str) -> Any:
    if name not in PUBLIC_NAMES:
        raise AttributeError(f"module 'muybridge' has no attribute {name!r}")
    return getattr(importlib.import_module(PUBLIC_NAMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
