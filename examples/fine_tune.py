"""Trains on one's own videos, and measures what came of it.

    python examples/fine_tune.py VIDEOS --output run --model CHECKPOINT

VIDEOS is a folder with VIDEOS/train/LABEL/clip.mp4 and VIDEOS/test/LABEL/clip.mp4, or anything else that `load_videos`
reads and that is divided so. A checkpoint's classifier is trained first and then all of it, its trunk at a lower rate;
without a checkpoint, a small new R(2+1)D is trained. Stopped and started again, the run goes on.
"""

import argparse
from pathlib import Path
from typing import Any

from muybridge.data import load_videos
from muybridge.evaluation import evaluate
from muybridge.training import TrainingSettings, train

NEW_NETWORK = {
    "model": "video_resnet",
    "num_frames": 16,
    "image_size": 64,
    "model_fields": {"depths": [1, 1, 1, 1], "hidden_sizes": [16, 32, 64, 128], "convolutions": ["2plus1d"] * 4},
    "processor_fields": {"sampling": "uniform", "fps": None},  # frames spread over the whole video
    "learning_rate": 3e-3,
    "warmup_epochs": 2.0,
}


def of_checkpoint(name: str) -> dict[str, Any]:
    return {"model": name, "trained": "two-steps", "learning_rate": 1e-3, "trunk_rate_factor": 0.1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", help="a folder of class folders, in train and test")
    parser.add_argument("--output", type=Path, required=True, help="the folder of the run")
    parser.add_argument("--model", help="the checkpoint to start from: a folder, or a name on the Hub")
    parser.add_argument("--epochs", type=int, default=15, help="(%(default)s)")
    parser.add_argument("--batch-size", type=int, default=8, help="(%(default)s)")
    parser.add_argument("--protocol", default="video-10x1", help="how test videos are judged (%(default)s)")
    parser.add_argument("--no-flip", action="store_true", help="no mirror images: left and right differ")
    arguments = parser.parse_args()

    test = load_videos(arguments.videos, "test")
    settings = TrainingSettings(
        data=[arguments.videos],
        output=str(arguments.output),
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        optimizer="adamw",
        weight_decay=0.02,
        label_smoothing=0.1,
        flip=not arguments.no_flip,
        **(of_checkpoint(arguments.model) if arguments.model else NEW_NETWORK),
    )
    checkpoint = train(settings, resume=True)
    result = evaluate(checkpoint, test, arguments.protocol)
    result.save(arguments.output / "results")
    print(result)


if __name__ == "__main__":
    main()
