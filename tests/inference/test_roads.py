"""A clip that is padded scores the same on every road as where the network is called with its mask."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from transformers import pipeline

from clips import moving_square, write_clip
from muybridge import VideoClassificationPipeline
from muybridge.data import VideoRecord, VideoRecords
from muybridge.evaluation import evaluate, extract_features
from muybridge.inference import Engine, VideoLoader
from muybridge.models import ARCHITECTURES, load_model, load_processor

NUM_FRAMES = 6
LABELS = ["walk", "run", "jump"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A checkpoint of a network that takes masks, a clip that is too short for it, and one that is not."""
    folder = tmp_path_factory.mktemp("roads")
    architecture = ARCHITECTURES["lrcn"]
    torch.manual_seed(0)
    config = architecture.tiny_config(num_frames=NUM_FRAMES, id2label=dict(enumerate(LABELS)))
    model = architecture.task_model(config)
    torch.nn.init.normal_(model.get_head().classifier.weight, std=3.0)  # so that scores differ by more than rounding
    model.save_pretrained(folder)
    model.make_processor().save_pretrained(folder)
    for name, num_frames in (("short", 3), ("long", 20)):
        write_clip(folder / f"{name}.mp4", moving_square(num_frames=num_frames, height=40, width=48))
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return load_model(folder).eval()


@pytest.fixture(scope="module")
def records(folder) -> VideoRecords:
    return VideoRecords([VideoRecord(str(folder / f"{name}.mp4"), "run") for name in ("long", "short")], LABELS)


def compute_directly(model, folder, name: str, *, with_mask: bool = True, **views) -> torch.Tensor:
    """The probabilities (L,) of a direct call on what the processor gives."""
    inputs = load_processor(folder)(folder / f"{name}.mp4", return_tensors="pt", **views)
    if not with_mask:
        del inputs["frame_mask"]
    with torch.no_grad():
        return model(**inputs).logits.softmax(dim=-1)[0]


def classify(folder, name, **views):
    labels = VideoClassificationPipeline(folder, **views)(folder / f"{name}.mp4")
    return as_tensor(labels)


def classify_with_transformers(folder, name):
    return as_tensor(pipeline("video-classification", model=str(folder))(str(folder / f"{name}.mp4")))


def as_tensor(labels) -> torch.Tensor:
    scores = {label["label"]: label["score"] for label in labels}
    return torch.tensor([scores[label] for label in LABELS])


def judge(folder, name, protocol="clip", records=None):
    """The probabilities that a result is made of."""
    records = VideoRecords([VideoRecord(str(folder / f"{name}.mp4"), "run")], LABELS) if records is None else records
    scores = evaluate(folder, records, protocol).scores
    place = [Path(video).stem for video in scores.videos].index(name)
    return torch.from_numpy(np.exp(scores.get_video_log_probabilities()[place])).float()


def run_engine(folder, name):
    model = load_model(folder).eval()
    engine = Engine(lambda **inputs: {"logits": model(**inputs).logits}, VideoLoader(load_processor(folder)))
    (outcome,) = engine.run([folder / f"{name}.mp4"])
    return outcome.outputs["logits"][0].softmax(dim=-1)


ROADS = {
    "our pipeline": classify,
    "transformers' pipeline": classify_with_transformers,
    "evaluate": judge,
    "the engine": run_engine,
}


@pytest.mark.parametrize("road", ROADS.values(), ids=ROADS.keys())
def test_a_padded_clip_scores_as_the_network_does_with_its_mask(road, folder, model):
    probabilities = road(folder, "short")
    assert_close(probabilities, compute_directly(model, folder, "short"), rtol=1e-4, atol=1e-5)
    unmasked = compute_directly(model, folder, "short", with_mask=False)
    assert (probabilities - unmasked).abs().max() > 1e-2


def test_padded_and_full_clips_share_a_batch(folder, model, records):
    for name in ("short", "long"):
        assert_close(judge(folder, name, records=records), compute_directly(model, folder, name), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("road", ["our pipeline", "evaluate"])
def test_every_view_of_a_padded_clip_has_its_mask(road, folder, model):
    views = {"num_clips": 10}
    expected = compute_directly(model, folder, "short", **views)
    found = classify(folder, "short", **views) if road == "our pipeline" else judge(folder, "short", "video-10x1")
    assert_close(found, expected, rtol=1e-4, atol=1e-5)
    unmasked = compute_directly(model, folder, "short", with_mask=False, **views)
    assert (found - unmasked).abs().max() > 1e-2


def average_positions(hidden: torch.Tensor) -> torch.Tensor:
    """The mean (D,) over the maps (T, D, H, W) of frames, their vectors (T, D), or the states (1, T, D) of a video."""
    return hidden.mean(dim=(0, 2, 3)) if hidden.ndim == 4 else hidden.flatten(0, -2).mean(dim=0)


@pytest.mark.parametrize("stage", [None, 0, 1, -1])
def test_the_features_of_a_padded_clip_are_those_of_its_real_frames(stage, folder, model, records):
    """Independent of masks: the network is shown the real frames alone."""
    inputs = load_processor(folder)(folder / "short.mp4", return_tensors="pt")
    frames = inputs[model.main_input_name]
    num_real = int(inputs["frame_mask"].sum())
    assert num_real == 3
    with torch.no_grad():
        if stage is None:
            expected = model.get_features(**{model.main_input_name: frames[:, :num_real]})[0]
        else:
            layer = model.get_stage_names()[stage]
            hidden = model.get_features(layer, **{model.main_input_name: frames[:, :num_real]})
            expected = average_positions(hidden)
    features = extract_features(folder, records, "clip", stage=stage)
    assert_close(torch.from_numpy(features.values[1]), expected, rtol=1e-4, atol=1e-5)
