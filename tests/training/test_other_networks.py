"""The loop trains networks of any inputs: of sound, of video and sound, and transformers' own."""

import pytest
import torch
from transformers import AutoModelForVideoClassification, VideoMAEConfig, VideoMAEForVideoClassification

import toys
from muybridge import VideoClassificationPipeline
from muybridge.data import load_videos, write_sprites
from muybridge.evaluation import evaluate
from muybridge.models import ARCHITECTURES, load_processor, optimize
from muybridge.training import train
from training_runs import make_settings, read_weights


@pytest.fixture(scope="module")
def sprites(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "sprites"
    write_sprites(
        folder, num_clips=12, num_frames=8, size=32, classes=["left", "right"], test_share=1 / 3, sound=True,
        show_progress=False,
    )  # fmt: skip
    return folder


@pytest.fixture(autouse=True, scope="module")
def known():
    with toys.registered(toys.SOUND, toys.VIDEO_AND_SOUND):
        yield


@pytest.mark.parametrize("name", ["toy_sound", "toy_video_and_sound"])
def test_a_network_that_hears_is_trained_judged_labels_files_and_is_made_faster(sprites, tmp_path, name):
    fields = {"model": name, "model_fields": dict(ARCHITECTURES[name].tiny), "epochs": 1}
    is_seeing = name == "toy_video_and_sound"
    sizes = {"num_frames": 4, "image_size": 32} if is_seeing else {"num_frames": None, "image_size": None}
    folder = train(make_settings(sprites, tmp_path / "run", augment=is_seeing, **sizes, **fields))
    videos = load_videos(sprites, split="test")
    result = evaluate(folder, videos, "clip")
    assert result.metrics["video_hit_at_1"] is not None
    pipeline = VideoClassificationPipeline(folder)
    labels = pipeline(videos[0].source)
    assert {label["label"] for label in labels} == {"left", "right"}
    inputs = load_processor(folder)(videos[0].source, return_tensors="pt")
    assert set(inputs) == set(pipeline.model.config.input_shapes())
    with torch.no_grad():
        expected = pipeline.model(**inputs).logits.softmax(-1)[0]
        faster = optimize(pipeline.model, exact=True)(**inputs).logits.softmax(-1)[0]
    scores = {label["label"]: label["score"] for label in labels}
    assert [scores[label] for label in ("left", "right")] == pytest.approx(expected.tolist(), abs=1e-5)
    assert faster.tolist() == pytest.approx(expected.tolist(), abs=1e-4)


def save_videomae(folder):
    """A checkpoint as transformers writes it, with the file of its own processor."""
    config = VideoMAEConfig(
        image_size=32, patch_size=16, num_frames=4, tubelet_size=2, hidden_size=16, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=32,
    )  # fmt: skip
    torch.manual_seed(0)
    VideoMAEForVideoClassification(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        '{"image_processor_type": "VideoMAEImageProcessor", "size": {"shortest_edge": 32}, "do_center_crop": true, '
        '"crop_size": {"height": 32, "width": 32}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}'
    )
    return folder


def test_a_checkpoint_of_transformers_is_fine_tuned_with_our_reader_and_its_own_numbers(sprites, tmp_path):
    start = save_videomae(tmp_path / "videomae")
    fields = {"model": str(start), "num_frames": None, "image_size": None, "model_fields": {}, "epochs": 1}
    folder = train(make_settings(sprites, tmp_path / "run", trained="classifier", **fields))
    model = AutoModelForVideoClassification.from_pretrained(folder)
    assert isinstance(model, VideoMAEForVideoClassification)
    assert set(model.config.label2id) == {"left", "right"}
    before, after = read_weights(start), read_weights(folder)
    changed = {name for name in after if name not in before or not torch.equal(after[name], before[name])}
    assert changed == {"classifier.weight", "classifier.bias"}
    processor = load_processor(folder)
    assert list(processor.image_mean) == [0.5, 0.5, 0.5]
    assert "VideoMAE" in (folder / "README.md").read_text()
    assert evaluate(folder, load_videos(sprites, split="test"), "clip").metrics["video_hit_at_1"] is not None
