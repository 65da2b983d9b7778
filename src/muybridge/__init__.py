"""Muybridge: a model hub for video, built on transformers.

Importing it makes every architecture known to transformers' Auto classes and pipeline(), and loads neither torch nor
transformers: names are imported when they are used. The folders, in the order in which a file becomes a label:

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

import os
import sys

import lazy_loader

# Threads of OpenMP spin while they wait for each other, and what decodes beside them does not get the processor: a step
# of training beside busy workers took seven times as long. It is read when torch is loaded, so it stands before that.
if "torch" not in sys.modules:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

__getattr__, _, names = lazy_loader.attach_stub(__name__, __file__)
__all__ = ["__version__", *names]

from muybridge import models  # noqa: E402, F401  # each architecture makes itself known


def __dir__() -> list[str]:
    return sorted(__all__)
