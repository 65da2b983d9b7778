"""Videos in, outputs in order out: what pipelines, evaluation and features share.

- `ahead`: work done ahead in threads, in order.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
