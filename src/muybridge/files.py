"""Files that are complete or not there at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replace_file(path: str | Path) -> Iterator[Path]:
    """A place beside `path` to write to; the finished file moves to `path` in one step, so no one sees half of it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        partial = Path(folder) / path.name
        yield partial
        partial.chmod(0o644)  # safetensors writes files that only their owner may read
        partial.replace(path)


def replace_bytes(path: str | Path, data: bytes) -> None:
    """Writes a file in the place of an earlier one, which stays if the new one cannot be written."""
    with replace_file(path) as partial:
        partial.write_bytes(data)


def replace_text(path: str | Path, text: str) -> None:
    """As `replace_bytes`, for text in UTF-8."""
    replace_bytes(path, text.encode("utf-8"))
