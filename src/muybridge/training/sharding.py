"""Weights that several processes hold a part of each, as FSDP divides them; every function is called by all of them."""

from collections.abc import Sequence

import torch
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType, broadcast
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from muybridge.data import SplitData
from muybridge.objectives import Objective
from muybridge.training.settings import TrainingSettings


def check_sharding(state: AcceleratorState) -> None:
    """Raises where Accelerate would divide the weights in a way that does not suit video networks."""
    if state.distributed_type != DistributedType.FSDP:
        return
    if state.fsdp_plugin.fsdp_version != 2:
        raise ValueError("fsdp_version is 1, which torch gives up; set fsdp_version: 2 in the config of Accelerate")
    if state.fsdp_plugin.cpu_ram_efficient_loading:
        raise ValueError(
            "fsdp_cpu_ram_efficient_loading is true, and Accelerate then cannot divide networks with batch norms; "
            "set fsdp_cpu_ram_efficient_loading: false in its config"
        )


def gather_whole(tensor: Tensor) -> Tensor:
    """A tensor with the parts of all processes."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


@torch.no_grad()
def make_whole(objective: Objective, settings: TrainingSettings, data: Sequence[SplitData]) -> Objective:
    """The objective itself, or a copy with all of its weights where this process holds a part of them."""
    state = objective.state_dict()
    if not any(isinstance(tensor, DTensor) for tensor in state.values()):
        return objective
    with torch.random.fork_rng(devices=[]):  # what is drawn for its first weights must not be missing in training
        copy = type(objective).from_settings(settings, data)
    copy.load_state_dict({name: gather_whole(tensor) for name, tensor in state.items()})
    return copy.to(next(iter(state.values())).device)


def share_unsharded(module: nn.Module) -> None:
    """Gives every process the first one's tensors, but for those it holds a part of.

    The statistics of norms differ, for each process has seen clips of its own.
    """
    for tensor in module.state_dict().values():
        if not isinstance(tensor, DTensor):
            broadcast(tensor)
