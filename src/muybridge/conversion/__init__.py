"""Weights that others trained become checkpoints of ours.

- `recipe`: where weights are published, and what is known of them: the files of `recipes/`.
- `sources`: what a source of weights is; one module a project, such as `torchvision`, has its own. `converter` knows
  them all, and makes models of their tensors.
- `reading`: files become `weights`, each format by its reader: `pytorch_files`, `tensorflow`, `caffemodel`,
  `keras_files`.
- `file_conversion`: all of it, from a file to a checkpoint folder.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
