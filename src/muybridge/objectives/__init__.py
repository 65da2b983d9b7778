"""What is learnt: one file an objective.

- `base`: what every objective has in common. `classification`: which labels a clip has; `mixing` is its own.
- `networks`: the network that a run's settings name.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
