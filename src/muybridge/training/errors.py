"""What ends a run, in words for the person who started it."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor

from muybridge.training.state import WRITE_ERRORS


class TrainingError(RuntimeError):
    """A run that cannot go on; the message says why and what to do."""


def readable(batches: Iterable[dict[str, Tensor]]) -> Iterator[dict[str, Tensor]]:
    """The batches; what ends them is told in the words of the clips, without the traceback of a worker."""
    try:
        yield from batches
    except (ValueError, RuntimeError) as error:
        *_, message = re.split(r"^[\w.]*(?:DataError|VideoError): ", str(error), flags=re.MULTILINE)
        raise TrainingError(
            f"{message.strip()}\n`muybridge check` lists what cannot be read; --errors skip leaves out a few"
        ) from error


@contextmanager
def explained(problem: str) -> Iterator[None]:
    """Says what could not be written, and that nothing is lost."""
    try:
        yield
    except WRITE_ERRORS as error:
        raise TrainingError(f"{problem}: {error}. Earlier ones are whole; make room and go on with --resume") from error
