"""Videos in, outputs in order out: what pipelines, evaluation and features share.

- `ahead`: work done ahead in threads, in order.
"""

from muybridge.inference.ahead import map_ahead

__all__ = ["map_ahead"]
