"""How a run is asked to stop: it does so at the end of a step, and not within one."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator


class StopSignal:
    """Whether someone asked the run to stop."""

    def __init__(self) -> None:
        self.is_asked = False  # of this process
        self.is_set = False  # for all processes, which heed it at the same step

    def ask(self, *_: Any) -> None:
        if self.is_asked:
            raise KeyboardInterrupt  # asked twice: at once
        self.is_asked = True

    def agree(self, accelerator: Accelerator) -> None:
        """Stops all processes where any was asked to: at the same step, for what they do next they do together."""
        asked = torch.tensor(float(self.is_asked), device=accelerator.device)
        self.is_set = bool(accelerator.reduce(asked, "sum") > 0)


@contextmanager
def stop_at_signal() -> Iterator[StopSignal]:
    """Turns Ctrl-C, and the request of a cluster to end, into a flag."""
    stop = StopSignal()
    earlier = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def ignore_signals(_: int) -> None:
    """Ctrl-C reaches every process of a terminal; the workers go on until the run itself ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
