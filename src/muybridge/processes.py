"""The processes that were launched together."""

import atexit

import torch
from accelerate import PartialState
from accelerate.utils import gather, parse_flag_from_env
from torch import Tensor


def process_state() -> PartialState:
    """This process among those that were launched together."""
    # Accelerator heeds the variable by itself, PartialState does not.
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))


def gather_tensors(tensor: Tensor) -> Tensor:
    """The rows of all processes' tensors (B, …), those of the first process first; they have no gradient."""
    return gather(tensor)


@atexit.register
def leave_group() -> None:
    """Ends the threads of gloo while there is an interpreter.

    One that lets go of its last tensor later finds none, and takes the process down: one exit in two right after a
    collective.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
