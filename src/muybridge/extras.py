"""Libraries that only some uses need: they come with an extra, and are imported where they are used."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

# What is installed under another name than it is imported by.
DISTRIBUTIONS = {"google_crc32c": "google-crc32c", "sklearn": "scikit-learn"}


class MissingExtraError(ImportError):
    """A library is not installed; the message is one line that says what to install."""


@contextmanager
def extra(name: str) -> Iterator[None]:
    """For imports of what an extra of ours brings: `with extra("plots"): from matplotlib.figure import Figure`."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(describe_missing(error.name or name, name), name=error.name) from None


def find_missing(library: str, name: str) -> str | None:
    """What to install for a library, where it is not there."""
    return None if find_spec(library) else describe_missing(library, name)


def describe_missing(library: str, name: str) -> str:
    top = library.partition(".")[0]
    return f"{DISTRIBUTIONS.get(top, top)} is not installed: pip install 'muybridge[{name}]'"
