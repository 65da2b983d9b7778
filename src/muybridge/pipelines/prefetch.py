"""Work done ahead in threads, in order, and never far ahead."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")


def map_ahead(function: Callable[[Any], Result], items: Iterable[Any], num_threads: int) -> Iterator[Result]:
    """`map(function, items)` with up to `num_threads` calls running ahead of the consumer; 0 runs none ahead.

    Threads suffice: decoding and resizing hold no interpreter lock.
    """
    if num_threads == 0:
        yield from map(function, items)
        return
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(num_threads, thread_name_prefix="muybridge-decode") as executor:
        try:
            for item in items:
                pending.append(executor.submit(function, item))
                if len(pending) > num_threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
