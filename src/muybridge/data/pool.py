"""Work that several processes share."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")

AHEAD = 4  # how many results a process may be ahead of the one that is asked for

_function: Callable[[int], Any] | None = None  # of a worker process


def map_in_processes(function: Callable[[int], Result], count: int, num_workers: int) -> Iterator[Result]:
    """The results of a function of 0, 1, … up to `count`, in order; `num_workers` of 0 is this process alone."""
    if num_workers < 0:
        raise ValueError(f"num_workers is {num_workers}; it must be 0, which is this process alone, or more")
    if num_workers == 0:
        yield from map(function, range(count))
        return
    with ProcessPoolExecutor(num_workers, initializer=start_worker, initargs=(function,)) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for number in range(count):
                waiting.append(pool.submit(call_function, number))
                if len(waiting) == AHEAD * num_workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def start_worker(function: Callable[[int], Any]) -> None:
    """Keeps the function, so that it does not travel with each call; and one thread, for workers share the cores."""
    import torch

    global _function
    _function = function
    torch.set_num_threads(1)


def call_function(number: int) -> Any:
    assert _function is not None, "start_worker runs first"
    return _function(number)
