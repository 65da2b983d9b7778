"""A checkpoint is a folder: config, weights, processor, card. It is written whole or not at all."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from transformers import PreTrainedModel

from muybridge.processing import FlowProcessor, ImageProcessor, VideoProcessor


def save_checkpoint(
    folder: str | Path,
    model: PreTrainedModel,
    processor: ImageProcessor | VideoProcessor | FlowProcessor,
    card: str,
    *,
    pictures: Sequence[Path] = (),
    check: Callable[[Path], None] | None = None,
    replace: bool = False,
) -> Path:
    """Writes the checkpoint, with the pictures of its card, beside `folder`, and moves it there when all is good.

    `check` looks at it before. With `replace` it takes the place of an earlier one.
    """
    folder = Path(folder)
    if not replace:
        refuse_existing(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        model.save_pretrained(partial)
        processor.save_pretrained(partial)
        (partial / "README.md").write_text(card, encoding="utf-8")
        for picture in pictures:
            shutil.copy(picture, partial)
        if check is not None:
            check(partial)
        for path in partial.iterdir():
            path.chmod(0o644)  # safetensors makes files, and tempfile folders, that are their owner's alone
        partial.chmod(0o755)
        move(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return folder


def move(new: Path, folder: Path) -> None:
    """Puts `new` at `folder`; what was there goes only when the new one stands, and comes back where it cannot."""
    if not folder.exists():
        new.replace(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    folder.replace(old)
    try:
        new.replace(folder)
    except BaseException:
        old.replace(folder)
        raise
    shutil.rmtree(old)


def refuse_existing(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists already; choose another place or remove it")
