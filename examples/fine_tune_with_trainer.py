"""Trains on one's own videos with the Trainer of transformers: our models, processors and data sets fit it as they are.

    python examples/fine_tune_with_trainer.py VIDEOS --output run --model CHECKPOINT

VIDEOS is a folder with VIDEOS/train/LABEL/clip.mp4 and VIDEOS/test/LABEL/clip.mp4, or anything else that `load_videos`
reads and that is divided so. Without a checkpoint, a small new R(2+1)D is trained.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from transformers import (
    AutoModelForVideoClassification,
    EvalPrediction,
    Trainer,
    TrainerCallback,
    TrainerState,
    TrainingArguments,
)

from muybridge import ARCHITECTURES, AutoVideoProcessor, ErrorPolicy, VideoProcessor
from muybridge.data import load_videos
from muybridge.data.items import ClipDataset, Item, collate_items
from muybridge.models.video_base import VideoForClassification
from muybridge.processing import ClipMaker, View, make_training_changes


def pretrained(name: str, labels: Sequence[str]) -> tuple[VideoForClassification, VideoProcessor]:
    """A checkpoint with a new classifier for these labels."""
    model = AutoModelForVideoClassification.from_pretrained(name)
    model.reset_head(labels)
    return model, AutoVideoProcessor.from_pretrained(name)


def new_network(labels: Sequence[str]) -> tuple[VideoForClassification, VideoProcessor]:
    architecture = ARCHITECTURES["video_resnet"]
    config = architecture.config(
        num_frames=16,
        image_size=64,
        depths=[1, 1, 1, 1],
        hidden_sizes=[16, 32, 64, 128],
        convolutions=["2plus1d"] * 4,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    square = {"size": {"shortest_edge": 64}, "crop_size": {"height": 64, "width": 64}}
    return architecture.task_model(config), architecture.processor(sampling="uniform", fps=None, **square)


def collate(items: Sequence[Item]) -> dict[str, Tensor]:
    """A batch of what the model's forward takes."""
    batch = collate_items(items)
    return {**batch["views"]["clip"], "labels": batch["targets"]["label"]}


class Epochs(TrainerCallback):
    """Tells the clips which epoch begins, to be drawn anew: with several processes the Trainer does not."""

    def __init__(self, clips: ClipDataset) -> None:
        self.clips = clips

    def on_epoch_begin(self, _arguments: Any, state: TrainerState, _control: Any, **_others: Any) -> None:
        self.clips.set_epoch(round(state.epoch or 0))


def hit_rate(prediction: EvalPrediction) -> dict[str, float]:
    return {"video_hit_at_1": float((prediction.predictions.argmax(axis=-1) == prediction.label_ids).mean())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", help="a folder of class folders, in train and test")
    parser.add_argument("--output", required=True, help="the folder of the run and, in the end, of the checkpoint")
    parser.add_argument("--model", help="the checkpoint to start from: a folder, or a name on the Hub")
    parser.add_argument("--epochs", type=int, default=15, help="(%(default)s)")
    parser.add_argument("--batch-size", type=int, default=8, help="(%(default)s)")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="(%(default)s)")
    parser.add_argument("--num-clips", type=int, default=10, help="of a test video, averaged (%(default)s)")
    arguments = parser.parse_args()

    videos = load_videos(arguments.videos)
    model, processor = pretrained(arguments.model, videos.labels) if arguments.model else new_network(videos.labels)
    drawn = View(is_random=True, changes=make_training_changes())
    clips = ClipDataset(videos.with_split("train"), ClipMaker(processor, {"clip": drawn}))
    fixed = ClipMaker(processor, {"clip": View(fields={"num_clips": arguments.num_clips})})
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=arguments.output,
            num_train_epochs=arguments.epochs,
            per_device_train_batch_size=arguments.batch_size,
            per_device_eval_batch_size=1,
            learning_rate=arguments.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=0.1,  # below one: a share of all steps
            weight_decay=0.02,
            label_smoothing_factor=0.1,
            dataloader_num_workers=2,
            remove_unused_columns=False,  # `collate` does it
            eval_strategy="epoch",
            save_strategy="epoch",
            save_total_limit=1,
            report_to=[],
        ),
        train_dataset=clips,
        # All or none: of which videos the number is must not depend on which can be read.
        eval_dataset=ClipDataset(
            videos.with_split("test"), fixed, policy=ErrorPolicy("raise"), replace_unreadable=False
        ),
        data_collator=collate,
        compute_metrics=hit_rate,
        processing_class=processor,
        callbacks=[Epochs(clips)],
    )
    trainer.train()
    trainer.save_model()
    trainer.log_metrics("eval", trainer.evaluate())


if __name__ == "__main__":
    main()
