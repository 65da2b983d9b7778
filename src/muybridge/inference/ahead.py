"""Work done ahead in threads, in order, and never far ahead."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Any], Result], items: Iterable[Any], num_threads: int
) -> Generator[Result, None, None]:
    """`map(function, items)` with up to `num_threads` calls running ahead of the consumer; 0 runs none ahead.

    Threads suffice: decoding and resizing hold no interpreter lock.
    """
    if num_threads == 0:
        yield from map(function, items)
        return
    pending: deque[Future[Result]] = deque()
    source, failure = iter(items), None
    with ThreadPoolExecutor(num_threads, thread_name_prefix="muybridge-decode") as executor:
        try:
            while failure is None:
                try:
                    pending.append(executor.submit(function, next(source)))
                except StopIteration:
                    break
                except Exception as error:  # noqa: BLE001  # of the items' own: what was begun before it comes first
                    failure = error
                if len(pending) > num_threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
            if failure is not None:
                raise failure
        finally:
            for future in pending:
                future.cancel()
