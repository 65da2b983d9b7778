"""What `muybridge serve-predictions` does: a line of JSON in, a line of JSON out.

A line in: {"id", "model": a name on the hub, "revision": a commit, "clip": a file, "top_k"}. A line out: {"id",
"labels": [{"label", "score"}], "frames": [JPEG in base64], "seconds": {"load", "predict"}}, or {"id", "error"}.
"""

import base64
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np
from huggingface_hub.utils import disable_progress_bars
from PIL import Image
from torch import Tensor
from transformers import AutoConfig, AutoModelForVideoClassification

from muybridge.cli.errors import CommandError
from muybridge.cli.models_by_name import open_model
from muybridge.models import load_processor
from muybridge.pipelines import VideoClassificationPipeline
from muybridge.processing import VideoProcessor
from muybridge.video import VideoReader
from muybridge.video.geometry import Size, resized_size
from muybridge.video.readers import Indices

MAX_FRAMES = 16
SHORT_SIDE = 96

Load = Callable[[str, str], VideoClassificationPipeline]


class Question(NamedTuple):
    id: str
    model: str
    revision: str
    clip: str
    top_k: int = 5


class WatchedReader(VideoReader):
    """Keeps the frames (T, C, H, W) that were read last: those that the model sees."""

    seen: Tensor

    def frames_at_sizes(self, indices_by_size: Mapping[Size | None, Indices]) -> dict[Size | None, Tensor]:
        frames = super().frames_at_sizes(indices_by_size)
        (self.seen,) = frames.values()
        return frames


def serve(num_models: int, *, fast: bool) -> None:
    """Answers every line of standard input on standard output; so many models stay loaded."""
    disable_progress_bars()
    load = lru_cache(num_models)(partial(load_pipeline, fast=fast))
    with open_pipes() as (questions, answers):
        for line in questions:
            print(json.dumps(answer(line, load)), file=answers, flush=True)


@contextmanager
def open_pipes() -> Iterator[tuple[TextIO, TextIO]]:
    """What came as standard input and output. Whatever a library asks for is empty; what it prints goes to the log."""
    questions, answers = os.dup(sys.stdin.fileno()), os.dup(sys.stdout.fileno())
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, sys.stdin.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    os.close(nothing)
    with open(questions, encoding="utf-8") as lines_in, open(answers, "w", encoding="utf-8") as lines_out:  # noqa: PTH123
        yield lines_in, lines_out


def answer(line: str, load: Load) -> dict[str, Any]:
    try:
        question = parse_question(line)
    except ValueError as error:
        return {"id": None, "error": str(error)}
    try:
        return {"id": question.id, **predict(question, load)}
    except (CommandError, ValueError, OSError, RuntimeError) as error:
        return {"id": question.id, "error": str(error)}


def parse_question(line: str) -> Question:
    try:
        return Question(**json.loads(line))
    except (ValueError, TypeError) as error:
        names = ", ".join(Question._fields)
        raise ValueError(f"the line {line[:100]!r} is no JSON object with {names}: {error}") from error


def predict(question: Question, load: Load) -> dict[str, Any]:
    begun = time.monotonic()
    classify = load(question.model, question.revision)
    loaded = time.monotonic()
    with closing(WatchedReader(question.clip)) as reader:
        labels = classify(reader, top_k=question.top_k)
    frames = [encode_picture(frame) for frame in choose_evenly(reader.seen, MAX_FRAMES)]
    seconds = {"load": round(loaded - begun, 3), "predict": round(time.monotonic() - loaded, 3)}
    return {"labels": labels, "frames": frames, "seconds": seconds}


def load_pipeline(model: str, revision: str, *, fast: bool) -> VideoClassificationPipeline:
    """A model as the hub has it. Code that comes with a model is never run: there is nobody to ask whether it may."""
    if Path(model).exists():
        raise CommandError(f"the model {model!r} is a path of this machine; only models of the hub are loaded here")
    place = {"revision": revision, "trust_remote_code": False}
    open_model(model, AutoConfig.from_pretrained, **place)  # refuses code, before anything asks whether it may run
    processor = open_model(model, load_processor, revision=revision)
    if not isinstance(processor, VideoProcessor):
        raise CommandError(
            f"the processor of the model {model!r} is of the type {type(processor).__name__}; only frames are read "
            "here: publish it with a muybridge.VideoProcessor"
        )
    network, report = open_model(
        model, AutoModelForVideoClassification.from_pretrained, **place, use_safetensors=True, output_loading_info=True
    )
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"])[:3])
        raise CommandError(
            f"the model {model!r} is no whole video classifier: it lacks {missing}; publish it with them"
        )
    return VideoClassificationPipeline(network, processor, fast=fast, num_workers=0)


def choose_evenly(frames: Tensor, limit: int) -> Tensor:
    """Up to `limit` of the frames (T, C, H, W), the first and the last among them."""
    if len(frames) <= limit:
        return frames
    return frames[np.linspace(0, len(frames) - 1, limit).round().astype(int)]


def encode_picture(frame: Tensor) -> str:
    """A small picture of a frame (C, H, W): a JPEG in base64."""
    image = Image.fromarray(frame.permute(1, 2, 0).contiguous().numpy())
    if min(image.size) > SHORT_SIDE:
        height, width = resized_size(image.height, image.width, SHORT_SIDE)
        image = image.resize((width, height), reducing_gap=2.0)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return base64.b64encode(file.getvalue()).decode("ascii")
