import json

import numpy as np
import pytest
import sklearn.metrics
import torch
from torch.testing import assert_close
from transformers import AutoModelForVideoClassification

from muybridge import AutoVideoProcessor, Protocol
from muybridge.data import VideoRecord, VideoRecords
from muybridge.data.targets import Labels
from muybridge.evaluation import evaluate
from muybridge.models import ARCHITECTURES
from muybridge.models.heads import average_views


@pytest.fixture(scope="module")
def checkpoint(checkpoints):
    return checkpoints[0]


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
    readable = scores.select(np.flatnonzero(scores.is_readable))
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
        for parameter in (model.head.classifier.weight, model.head.classifier.bias):
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


@pytest.fixture(scope="module")
def judge_of_sets(checkpoint):
    """A network whose labels do not exclude each other."""
    model = AutoModelForVideoClassification.from_pretrained(checkpoint)
    model.config.problem_type = "multi_label_classification"
    return model


def with_sets(videos):
    """Records that have their own label, and the next one in the alphabet of labels, if any."""
    following = {"left": ("left", "right"), "right": ("right", "up"), "up": ()}
    records = [VideoRecord(record.source, targets={"labels": Labels(following[record.label])}) for record in videos]
    return VideoRecords(records, names={"labels": ["left", "right", "up"]})


def test_sets_of_labels_are_judged_by_the_logits_of_the_model(checkpoint, judge_of_sets, videos):
    processor = AutoVideoProcessor.from_pretrained(checkpoint)
    data = with_sets(videos)
    result = evaluate(judge_of_sets, data, "video-10x1", processor=processor)
    scores = result.scores
    assert scores.is_multi_label
    assert scores.protocol == Protocol(num_clips=10, aggregation="logits")
    for record, name, row, has in zip(data, scores.videos, scores.logits, scores.labels, strict=True):
        assert {scores.label_names[label] for label in np.flatnonzero(has)} == set(record.targets["labels"].names)
        if name in scores.unreadable:
            continue
        views = processor(record.source, num_clips=10, num_frames=4, return_tensors="pt").pixel_values_videos
        with torch.no_grad():
            logits = judge_of_sets(views).logits[0]  # which averages the views by itself
        assert_close(torch.from_numpy(row.mean(axis=0)), logits, rtol=1e-4, atol=1e-5)
    ranking = np.nan_to_num(scores.logits.mean(axis=1), nan=-1000)
    expected = sklearn.metrics.average_precision_score(scores.labels, ranking)
    assert result.metrics["mean_average_precision"] == pytest.approx(expected)


def test_a_single_label_is_a_set_of_one_for_a_model_of_sets(checkpoint, judge_of_sets, videos):
    processor = AutoVideoProcessor.from_pretrained(checkpoint)
    scores = evaluate(judge_of_sets, videos, "clip", processor=processor).scores
    single = evaluate(checkpoint, videos, "clip").scores
    np.testing.assert_array_equal(scores.labels.argmax(axis=1), single.labels)
    assert scores.labels.sum() == len(videos)


def test_a_model_of_one_label_is_not_judged_on_sets(checkpoint, videos):
    with pytest.raises(ValueError, match=r"no clip has label: .*0.mp4, .*which have labels"):
        evaluate(checkpoint, with_sets(videos), "clip")


def test_a_label_of_a_set_that_the_model_does_not_know_is_named(checkpoint, judge_of_sets, videos):
    data = VideoRecords([VideoRecord(videos[0].source, targets={"labels": Labels(("left", "upp"))})])
    with pytest.raises(ValueError, match=r"does not know: upp \(did you mean 'up'\?\)"):
        evaluate(judge_of_sets, data, processor=AutoVideoProcessor.from_pretrained(checkpoint))


def test_records_that_come_one_by_one_are_judged_as_all_at_once(checkpoint, videos):
    expected = evaluate(checkpoint, videos, "clip", batch_size=2)
    result = evaluate(checkpoint, iter(videos), "clip", batch_size=2)
    np.testing.assert_array_equal(result.scores.logits, expected.scores.logits)
    np.testing.assert_array_equal(result.scores.labels, expected.scores.labels)
    assert result.scores.videos == expected.scores.videos
    assert result.scores.unreadable == expected.scores.unreadable


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (VideoRecord("clip.mp4"), r"no clip has label: clip.mp4"),
        (
            VideoRecord("clip.mp4", "upp"),
            r"clip.mp4 has the label 'upp', .*did you mean 'up'.* known are right, up, left",
        ),
        (None, "is there more than once"),
    ],
)
def test_what_is_wrong_with_a_record_is_said_when_it_comes(checkpoint, videos, record, message):
    with pytest.raises(ValueError, match=message):
        evaluate(checkpoint, iter([videos[0], record or videos[0]]), "clip")


def test_no_records_at_all_are_refused_also_where_their_number_was_not_known(checkpoint):
    with pytest.raises(ValueError, match="there are no videos"):
        evaluate(checkpoint, iter([]), "clip")


def test_an_unreadable_video_ends_the_run_where_the_policy_says_so(checkpoint, videos):
    with pytest.raises(ValueError, match=r"broken.mp4: this is not a video"):
        evaluate(checkpoint, videos, errors="raise")


def test_all_videos_unreadable_is_an_error_that_names_one(checkpoint, videos):
    with pytest.raises(ValueError, match=r"none of the 1 videos can be read; the first is broken.mp4: this is not"):
        evaluate(checkpoint, videos.where(lambda record: record.source.endswith("broken.mp4")))


def test_a_model_that_gives_nan_is_not_taken_for_unreadable_videos(checkpoint, videos):
    model = AutoModelForVideoClassification.from_pretrained(checkpoint)
    torch.nn.init.constant_(model.head.classifier.bias, torch.nan)
    with pytest.raises(ValueError, match=r"numbers that are not finite for left/0.mp4, left/1.mp4"):
        evaluate(model, videos)


def test_a_model_without_a_checkpoint_needs_a_processor(videos):
    architecture = ARCHITECTURES["c3d"]
    with pytest.raises(ValueError, match="pass processor="):
        evaluate(architecture.task_model(architecture.tiny_config()), videos)


@pytest.mark.parametrize("setting", [{"batch_size": 0}, {"num_workers": -1}, {"errors": "ignore"}])
def test_settings_of_loading_are_checked(checkpoint, videos, setting):
    with pytest.raises(ValueError, match="must be"):
        evaluate(checkpoint, videos, **setting)
