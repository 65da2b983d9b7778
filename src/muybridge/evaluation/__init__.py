"""How good a model is, and how that was measured.

- `protocols`: how a video is judged, by name. `metrics`: what is measured, as functions on arrays.
- `scoring`: a model on videos becomes `scores`, of which a file is kept, and they become `results`. `truth` is what is
  known of the videos, `collecting` has the engine's outputs in one array, and `provenance` tells what it ran on.
  `evaluators` says what judges networks of which task.
- `fusion`: the scores of several models become one. `probes`: classifiers on a model's features.
- `groups`: kinds of labels, each with its precision. `pictures`: of what is confused, of precision and of confidence.

Names are imported when they are used: the names of protocols, groups and methods need no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
