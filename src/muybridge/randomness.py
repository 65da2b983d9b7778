"""Random numbers that depend on a place in a run, and on nothing else."""

import numpy as np
import torch


def make_generator(*numbers: int) -> torch.Generator:
    """A generator for a place, such as a seed, an epoch and an index; places next to each other draw unlike numbers."""
    seed = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(seed))
