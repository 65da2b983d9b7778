import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from transformers import AutoModelForVideoClassification

from muybridge import AutoVideoProcessor, Protocol
from muybridge.data import VideoRecord, VideoRecords
from muybridge.evaluation import evaluate
from muybridge.evaluation.views import shard
from muybridge.models import ARCHITECTURES
from muybridge.models.base import average_views

SHARE = """
import sys
from accelerate import PartialState
from muybridge.data import load_videos
from muybridge.evaluation import evaluate
result = evaluate(sys.argv[1], load_videos(sys.argv[2]), batch_size=4, num_workers=1)
if PartialState().is_last_process:  # which has everything, as every process does
    assert PartialState().num_processes == 2
    result.scores.save(sys.argv[3])
"""


@pytest.fixture(scope="module")
def checkpoint(checkpoints):
    return checkpoints[0]


@pytest.fixture
def one_thread():
    """The order of a sum depends on the number of threads, and so does its last digit."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


def relabelled(videos, **labels):
    """Records with other labels, by their old ones."""
    records = [VideoRecord(record.source, labels.get(record.label, record.label)) for record in videos]
    return VideoRecords(records, [labels.get(label, label) for label in videos.labels])


def test_scores_are_what_model_and_processor_give_one_video_at_a_time(checkpoint, videos):
    result = evaluate(checkpoint, videos, "video-10x3", batch_size=7)
    model = AutoModelForVideoClassification.from_pretrained(checkpoint).eval()
    processor = AutoVideoProcessor.from_pretrained(checkpoint)
    for name, label, logits in zip(result.scores.videos, result.scores.labels, result.scores.logits, strict=True):
        assert name.startswith(model.config.id2label[label] + "/")
        if name in result.scores.unreadable:
            assert np.isnan(logits).all()
            continue
        source = next(record.source for record in videos if record.source.endswith(name))
        views = processor(source, num_clips=10, num_crops=3, num_frames=4, return_tensors="pt").pixel_values_videos[0]
        with torch.no_grad():
            assert_close(torch.from_numpy(logits), model(views).logits, rtol=1e-4, atol=1e-5)
    assert len(result.scores.videos) == 10
    assert result.scores.unreadable.keys() == {"up/broken.mp4"}
    assert "not a video" in result.scores.unreadable["up/broken.mp4"]


def test_the_video_hit_is_that_of_the_averaged_views(checkpoint, videos):
    scores = evaluate(checkpoint, videos).scores
    readable = scores.selected(np.flatnonzero(scores.is_readable))
    averaged = average_views(torch.from_numpy(readable.logits), "softmax").argmax(dim=-1).numpy()
    result = evaluate(checkpoint, videos, unreadable_are_wrong=False)
    assert result.metrics["video_hit_at_1"] == (averaged == readable.labels).mean()
    assert result.scores.protocol == Protocol(num_clips=2)


def test_a_result_says_what_it_was_measured_on(checkpoint, videos):
    facts = evaluate(checkpoint, videos, "clip", provenance={"data": "squares"}).to_dict()
    assert facts["model"] == str(checkpoint)
    assert len(facts["revision"]) == 64
    assert facts["decoder"].keys() >= {"PyAV", "libavcodec", "libswscale"}
    assert facts["libraries"].keys() >= {"muybridge", "torch", "transformers"}
    assert facts["protocol"]["num_clips"] == 1
    assert facts["num_unreadable"] == 1
    assert facts["data"] == "squares"
    assert facts["seconds"] > 0
    json.dumps(facts, allow_nan=False)


@pytest.mark.parametrize(("batch_size", "num_workers"), [(1, 0), (7, 3), (64, 1)])
def test_neither_batches_nor_threads_change_the_numbers(checkpoint, videos, batch_size, num_workers):
    expected = evaluate(checkpoint, videos, batch_size=2, num_workers=1)
    result = evaluate(checkpoint, videos, batch_size=batch_size, num_workers=num_workers)
    np.testing.assert_allclose(result.scores.logits, expected.scores.logits, rtol=1e-4, atol=1e-5)
    assert result.scores.unreadable == expected.scores.unreadable


@pytest.mark.parametrize("num_processes", [1, 2, 3, 8])
@pytest.mark.parametrize("num_videos", [1, 2, 10, 11])
def test_every_video_falls_to_one_process_in_a_batch_that_their_number_does_not_change(num_videos, num_processes):
    shards = [shard(num_videos, 2, index, num_processes) for index in range(num_processes)]
    assert sorted(position for batches in shards for batch in batches for position in batch) == list(range(num_videos))
    together = sorted((batch for batches in shards for batch in batches), key=lambda batch: batch.start)
    assert together == shard(num_videos, 2, 0, 1)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.usefixtures("one_thread")
def test_two_processes_give_the_file_of_one(checkpoint, video_folder, videos, tmp_path):
    program = tmp_path / "share.py"
    program.write_text(SHARE)
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    words = [program, checkpoint, video_folder, tmp_path / "two.safetensors"]
    subprocess.run([*launcher, *map(str, words)], check=True, env=environment)
    one = evaluate(checkpoint, videos, batch_size=4).scores.save(tmp_path / "one.safetensors")
    assert one.read_bytes() == (tmp_path / "two.safetensors").read_bytes()


def test_a_model_comes_back_in_the_mode_it_was_in(checkpoint, videos):
    model = AutoModelForVideoClassification.from_pretrained(checkpoint).train()
    frozen = model.get_stages()[0].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluate(model, videos, "clip")
    assert model.training
    assert not frozen.training
    assert model.get_stages()[1].training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_labels_are_matched_by_name_whatever_their_order(checkpoint, videos):
    result = evaluate(checkpoint, videos, "clip")
    model = AutoModelForVideoClassification.from_pretrained(checkpoint)
    with torch.no_grad():
        for parameter in (model.classifier.weight, model.classifier.bias):
            parameter.copy_(parameter[[2, 0, 1]])
    model.config.id2label = {0: "left", 1: "right", 2: "up"}
    again = evaluate(model, videos, "clip", processor=AutoVideoProcessor.from_pretrained(checkpoint))
    assert again.scores.label_names == ["left", "right", "up"]
    assert again.metrics == pytest.approx(result.metrics, nan_ok=True)


def test_a_label_that_the_model_does_not_know_is_an_error_that_lists_both(checkpoint, videos):
    message = (
        r"labels that the model does not know: upp \(did you mean 'up'\?\). "
        "The model's labels are right, up, left; the data's left, right, upp"
    )
    with pytest.raises(ValueError, match=message):
        evaluate(checkpoint, relabelled(videos, up="upp"))


def test_videos_without_labels_and_no_videos_are_refused(checkpoint, videos):
    with pytest.raises(ValueError, match="4 of 10 clips have no label"):
        evaluate(checkpoint, VideoRecords([VideoRecord(v.source, None if v.label == "up" else v.label) for v in videos],
                                          videos.labels))  # fmt: skip
    with pytest.raises(ValueError, match="there are no videos"):
        evaluate(checkpoint, videos.select([]))


def test_an_unreadable_video_ends_the_run_where_the_policy_says_so(checkpoint, videos):
    with pytest.raises(ValueError, match=r"broken.mp4: this is not a video"):
        evaluate(checkpoint, videos, errors="raise")


def test_all_videos_unreadable_is_an_error_that_names_one(checkpoint, videos):
    with pytest.raises(ValueError, match=r"none of the 1 videos can be read; the first is broken.mp4: this is not"):
        evaluate(checkpoint, videos.where(lambda record: record.source.endswith("broken.mp4")))


def test_a_model_that_gives_nan_is_not_taken_for_unreadable_videos(checkpoint, videos):
    model = AutoModelForVideoClassification.from_pretrained(checkpoint)
    torch.nn.init.constant_(model.classifier.bias, torch.nan)
    with pytest.raises(ValueError, match=r"numbers that are not finite for left/0.mp4, left/1.mp4"):
        evaluate(model, videos)


def test_a_model_without_a_checkpoint_needs_a_processor(videos):
    architecture = ARCHITECTURES["c3d"]
    with pytest.raises(ValueError, match="pass processor="):
        evaluate(architecture.classifier(architecture.tiny_config()), videos)


@pytest.mark.parametrize("setting", [{"batch_size": 0}, {"num_workers": -1}, {"errors": "ignore"}])
def test_settings_of_loading_are_checked(checkpoint, videos, setting):
    with pytest.raises(ValueError, match="must be"):
        evaluate(checkpoint, videos, **setting)
