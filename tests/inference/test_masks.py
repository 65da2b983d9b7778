"""Frames that were repeated because a video is short change no score, on whichever road it is scored."""

from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from clips import moving_square, write_clip
from muybridge import VideoClassificationPipeline, evaluate, extract_features
from muybridge.data import ClipDataset, VideoRecord, VideoRecords, collate_items
from muybridge.models import ARCHITECTURES
from muybridge.processing import ClipMaker, VideoProcessor, View, make_training_changes

NUM_FRAMES = 6


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> VideoRecords:
    folder = tmp_path_factory.mktemp("clips")
    made = [
        VideoRecord(
            str(write_clip(folder / f"{length}.mp4", moving_square(num_frames=length, height=40, width=40))), label
        )
        for length, label in ((3, "a"), (20, "b"), (1, "c"))
    ]
    return VideoRecords(made, ["a", "b", "c"])


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    architecture = ARCHITECTURES["lrcn"]
    names = {"id2label": {0: "a", 1: "b", 2: "c"}, "label2id": {"a": 0, "b": 1, "c": 2}}
    network = architecture.task_model(architecture.tiny_config(num_frames=NUM_FRAMES, **names)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network


@pytest.fixture(scope="module")
def processor(model) -> VideoProcessor:
    return model.make_processor()


@pytest.fixture(scope="module")
def real_frames(records, processor) -> list[torch.Tensor]:
    """The frames of each video without those that were repeated."""
    batches = [processor(record.source, return_tensors="pt") for record in records]
    return [batch["pixel_values_videos"][:, batch["frame_mask"][0]] for batch in batches]


def test_the_real_frames_are_as_many_as_the_videos_have(real_frames) -> None:
    assert [frames.shape[1] for frames in real_frames] == [3, NUM_FRAMES, 1]


def test_an_evaluation_scores_the_real_frames(records, model, processor, real_frames) -> None:
    scores = evaluate(model, records, processor=processor, num_workers=0).scores
    for logits, frames in zip(scores.logits, real_frames, strict=True):
        assert_close(torch.from_numpy(logits), model(frames).logits, rtol=1e-4, atol=1e-5)


def test_features_are_those_of_the_real_frames(records, model, processor, real_frames) -> None:
    features = extract_features(model, records, processor=processor, num_workers=0).values
    for values, frames in zip(features, real_frames, strict=True):
        assert_close(torch.from_numpy(values), model.base_model(frames).pooler_output[0], rtol=1e-4, atol=1e-5)


def test_the_pipeline_labels_the_real_frames(records, model, processor, real_frames) -> None:
    classify = VideoClassificationPipeline(model, processor, num_workers=0)
    labels = classify([record.source for record in records], top_k=3, batch_size=2)
    for found, frames in zip(labels, real_frames, strict=True):
        expected = model(frames).logits.softmax(-1)[0]
        scores = torch.tensor([next(each["score"] for each in found if each["label"] == name) for name in "abc"])
        assert_close(scores, expected, rtol=1e-4, atol=1e-5)


def test_a_batch_for_training_brings_its_masks(records: VideoRecords, model, processor, tmp_path: Path) -> None:
    view = View(is_random=True, changes=make_training_changes())
    clips = ClipDataset(records, ClipMaker(processor, {"clip": view}), log=tmp_path / "skipped.jsonl")
    inputs = collate_items([clips[index] for index in range(3)])["views"]["clip"]
    assert inputs["frame_mask"].sum(dim=1).tolist() == [3, NUM_FRAMES, 1]
    logits = model(**inputs).logits
    for row, pixels, mask in zip(logits, inputs["pixel_values_videos"], inputs["frame_mask"], strict=True):
        assert_close(row, model(pixels[mask][None]).logits[0], rtol=1e-4, atol=1e-5)
