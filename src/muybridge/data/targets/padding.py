"""Arrays of different sizes as one batch: padded, with a mask."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pad(arrays: Sequence[NDArray[Any]], num_ragged: int = 1) -> tuple[Any, Any]:
    """A tensor (B, …) of arrays whose first `num_ragged` axes differ in length, and where it is real: (B, ragged …).

    Each array lies at the beginning; behind it are zeros.
    """
    import torch

    rest = next((array.shape[num_ragged:] for array in arrays if array.size), arrays[0].shape[num_ragged:])
    longest = np.max([array.shape[:num_ragged] for array in arrays], axis=0)
    padded = np.zeros((len(arrays), *longest, *rest), dtype=arrays[0].dtype)
    mask = np.zeros((len(arrays), *longest), dtype=bool)
    for number, array in enumerate(arrays):
        place: tuple[int | slice, ...] = (number, *(slice(length) for length in array.shape[:num_ragged]))
        if array.size:
            padded[place] = array
        mask[place] = True
    return torch.from_numpy(padded), torch.from_numpy(mask)
