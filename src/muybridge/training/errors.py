"""What ends a run, in words for the person who started it."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from muybridge.data import DataError
from muybridge.training.state import WRITE_ERRORS
from muybridge.video import VideoError


class TrainingError(RuntimeError):
    """A run that cannot go on; the message says why and what to do."""


def read_batches(batches: Iterable[dict[str, Tensor]]) -> Iterator[dict[str, Tensor]]:
    """The batches; what ends them is told in the words of the clips, without the traceback of a worker."""
    try:
        yield from batches
    except (ValueError, RuntimeError) as error:
        message = find_message_of_clips(error)
        if message is None:
            raise
        raise TrainingError(
            f"{message}\n`muybridge check` lists what cannot be read; --errors skip leaves out a few"
        ) from error


def find_message_of_clips(error: Exception) -> str | None:
    """What was wrong with clips, from the error itself or the last lines of a worker's traceback; None for others."""
    parts = re.split(r"^[\w.]*(?:DataError|VideoError): ", str(error), flags=re.MULTILINE)
    if len(parts) > 1:
        return parts[-1].strip()
    return str(error) if isinstance(error, DataError | VideoError) else None


@contextmanager
def explain_write_errors(problem: str) -> Iterator[None]:
    """Says what could not be written, and that nothing is lost."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except WRITE_ERRORS as error:
        raise TrainingError(f"{problem}: {error}. Earlier ones are whole; make room and go on with --resume") from error
