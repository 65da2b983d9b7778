"""A checkpoint is a folder: config, weights, processor, card. It is written whole or not at all."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from transformers import PreTrainedModel
from transformers.video_processing_utils import VideoProcessorMixin


def save_checkpoint(
    folder: str | Path,
    model: PreTrainedModel,
    processor: VideoProcessorMixin,
    card: str,
    *,
    check: Callable[[Path], None] | None = None,
) -> Path:
    """Writes the checkpoint beside `folder`, lets `check` look at it, and moves it there when all of it is good."""
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists already; choose another place or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        model.save_pretrained(partial)
        processor.save_pretrained(partial)
        (partial / "README.md").write_text(card, encoding="utf-8")
        if check is not None:
            check(partial)
        partial.chmod(0o755)  # a temporary folder is its owner's alone
        partial.replace(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return folder
