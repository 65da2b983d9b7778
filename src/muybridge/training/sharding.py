"""Weights that several processes hold a part of each, as FSDP divides them; every function is called by all of them."""

import torch
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType, broadcast
from torch import Tensor
from torch.distributed.tensor import DTensor

from muybridge.models import ARCHITECTURES
from muybridge.models.video_base import VideoForClassification


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


def whole(tensor: Tensor) -> Tensor:
    """A tensor with the parts of all processes."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


@torch.no_grad()
def whole_model(model: VideoForClassification) -> VideoForClassification:
    """The model itself, or a copy with all of its weights where this process holds a part of them."""
    state = model.state_dict()
    if not any(isinstance(tensor, DTensor) for tensor in state.values()):
        return model
    with torch.random.fork_rng(devices=[]):  # what is drawn for its first weights must not be missing in training
        copy = ARCHITECTURES[model.config.model_type].classifier(model.config).to(model.device)
    copy.load_state_dict({name: whole(tensor) for name, tensor in state.items()})
    return copy


def share_unsharded(model: VideoForClassification) -> None:
    """Gives every process the first one's tensors, but for those it holds a part of.

    The statistics of norms differ, for each process has seen clips of its own.
    """
    for tensor in model.state_dict().values():
        if not isinstance(tensor, DTensor):
            broadcast(tensor)
