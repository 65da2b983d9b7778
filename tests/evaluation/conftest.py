"""Videos, and tiny networks that look at them."""

from pathlib import Path

import pytest
import torch

from clips import moving_square, write_clip
from muybridge.data import VideoRecords, load_videos
from muybridge.models import ARCHITECTURES

LABELS = ["right", "up", "left"]  # not the order of the alphabet, which is the data's


@pytest.fixture(scope="session")
def video_folder(tmp_path_factory) -> Path:
    """Three classes of three videos, and one that cannot be read."""
    folder = tmp_path_factory.mktemp("videos")
    for number, label in enumerate(sorted(LABELS)):
        (folder / label).mkdir()
        for index in range(3):
            frames = moving_square(num_frames=6 + 5 * index, height=48, width=64, seed=10 * number + index)
            brighter = (frames.int() + 60 * number).clamp(0, 255).to(torch.uint8)
            write_clip(folder / label / f"{index}.mp4", brighter)
    (folder / "up" / "broken.mp4").write_bytes(b"this is no video")
    return folder


@pytest.fixture(scope="session")
def videos(video_folder) -> VideoRecords:
    return load_videos(video_folder)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> list[Path]:
    """Two networks that differ in weights alone."""
    architecture = ARCHITECTURES["video_resnet"]
    folders = []
    for seed in range(2):
        torch.manual_seed(seed)
        config = architecture.tiny_config(id2label=dict(enumerate(LABELS)), protocol={"num_clips": 2})
        model = architecture.task_model(config)
        torch.nn.init.normal_(model.head.classifier.weight)  # so that scores differ by more than rounding
        folder = tmp_path_factory.mktemp("checkpoints") / str(seed)
        model.save_pretrained(folder)
        architecture.processor(size={"shortest_edge": 40}, crop_size={"height": 32, "width": 32}).save_pretrained(
            folder
        )
        folders.append(folder)
    return folders
