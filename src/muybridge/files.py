"""Files that are there whole or not at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A place beside `path` to write to; what is there in the end moves to `path`, so that none sees half of it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        partial = Path(folder) / path.name
        yield partial
        partial.chmod(0o644)  # safetensors makes its file the owner's alone
        partial.replace(path)


def replace_text(path: str | Path, text: str) -> None:
    """Writes a text in the place of an earlier one, which stays where the new one cannot be written."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
