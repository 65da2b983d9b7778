"""How good a model is, and how that was measured.

- `protocols`: how a video is judged, by name. `metrics`: what is measured, as functions on arrays.
- `evaluate`: a model on videos becomes `scores`, of which a file is kept, and they become `results`; `views` is how
  every view goes through the network once, whatever the number of processes, and `provenance` what it ran on.
- `fusion`: the scores of several models become one. `probes`: classifiers on a model's features.
- `groups`: kinds of labels, each with its precision. `pictures`: confusion matrices and reliability diagrams.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
