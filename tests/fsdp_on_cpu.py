"""Runs a program under FSDP on processors: `python -m torch.distributed.run … fsdp_on_cpu.py PROGRAM WORDS…`.

Accelerate shards on accelerators alone: for processes on processors it passes over its own FSDP settings, and copies
the network (DDP). Torch's `fully_shard` works on both. So this takes Accelerate to where it shards, and nothing else.
"""

import os
import runpy
import sys
from typing import Any

from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

# What `accelerate launch` sets; its config may say otherwise.
os.environ |= {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "false",
}
init_state = AcceleratorState.__init__


def init_sharding_state(state: AcceleratorState, *arguments: Any, fsdp_plugin: Any = None, **others: Any) -> None:
    """What Accelerate does for several GPUs, for several processes on processors."""
    init_state(state, *arguments, fsdp_plugin=fsdp_plugin, **others)
    if fsdp_plugin is not None:
        state.distributed_type, state.fsdp_plugin = DistributedType.FSDP, fsdp_plugin
        PartialState._shared_state["distributed_type"] = DistributedType.FSDP


AcceleratorState.__init__ = init_sharding_state
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
