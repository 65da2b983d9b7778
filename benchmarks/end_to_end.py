"""Fifty clips from disk to labels: ours against transformers' pipeline, with the same float32 network.

Transformers' pipeline is driven in the ordinary way: `pipeline("video-classification", …)` over a list of paths, with
an image processor of its own, as its documentation does for models without torchcodec: it decodes with PyAV to
full-size RGB and resizes frame by frame. Beside it, the same pipeline with our processor.
"""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from benchmarks.clips import write_realistic_clip
from benchmarks.common import time_in_turn
from transformers import BatchFeature, VideoMAEImageProcessorPil, pipeline

from muybridge import VideoClassificationPipeline, optimize
from muybridge.models import ARCHITECTURES

NUM_CLIPS = 50
HEIGHT, WIDTH, SECONDS = 240, 320, 4


def run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [
            str(write_realistic_clip(folder / f"{i}.mp4", HEIGHT, WIDTH, SECONDS, seed=i)) for i in range(NUM_CLIPS)
        ]
        model, processor = make_network()
        theirs = pipeline("video-classification", model=model, image_processor=make_their_processor())
        with_our_processor = pipeline("video-classification", model=model, video_processor=processor)
        ours = {
            "ours, float32": VideoClassificationPipeline(model, processor),
            "ours, float32, norms folded": VideoClassificationPipeline(optimize(model, exact=True), processor),
            "ours, fast": VideoClassificationPipeline(model, processor, fast=True),
        }
        seconds = time_in_turn(
            {
                "transformers": lambda: theirs(paths, frame_sampling_rate=2),
                "transformers with our processor": lambda: with_our_processor(paths),
                **{name: partial(classify, paths) for name, classify in ours.items()},
            },
            rounds=2,
        )
    return {
        "what": f"{NUM_CLIPS} clips of {HEIGHT}p, {SECONDS} s, H.264; R3D-18 on 16×112×112",
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "times_faster": {name: round(seconds["transformers"] / value, 2) for name, value in seconds.items()},
    }


def make_network() -> tuple[Any, Any]:
    torch.manual_seed(0)
    architecture = ARCHITECTURES["video_resnet"]
    return architecture.task_model(architecture.config(num_labels=400)).eval(), architecture.processor()


class TheirProcessor(VideoMAEImageProcessorPil):
    """Transformers' own processor of frames, its result called as our network's input is."""

    def __call__(self, *arguments: Any, **options: Any) -> BatchFeature:
        return BatchFeature({"pixel_values_videos": super().__call__(*arguments, **options)["pixel_values"]})


def make_their_processor() -> TheirProcessor:
    return TheirProcessor(
        size={"height": 128, "width": 171}, crop_size={"height": 112, "width": 112}, do_center_crop=True
    )
