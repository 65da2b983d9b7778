"""Streams go every road: their videos are bytes out of tar files, which come one after the other."""

import numpy as np
import pytest
from torch.testing import assert_close

from muybridge import VideoClassificationPipeline
from muybridge.data import VideoStream, pack_videos, stream_videos
from muybridge.evaluation import evaluate, extract_features


@pytest.fixture(scope="module")
def shards(videos, tmp_path_factory) -> str:
    """The videos in tar files, byte for byte."""
    folder = tmp_path_factory.mktemp("packed") / "shards"
    pack_videos(videos, folder, shard_size=4)
    return f"webdataset:{folder}/*.tar"


@pytest.fixture(scope="module")
def stream(shards) -> VideoStream:
    return stream_videos(shards, labels=["left", "right", "up"])


@pytest.fixture(scope="module")
def order(stream, videos) -> list[int]:
    """At which place in the stream each of the records is."""
    contents = [record.source.data for record in stream]
    return [contents.index(videos.open_file(record).read()) for record in videos]


def test_a_stream_is_judged_as_its_videos_are(checkpoints, videos, stream, order):
    result = evaluate(checkpoints[0], stream, "video-10x1", batch_size=10)
    expected = evaluate(checkpoints[0], videos, "video-10x1", batch_size=10)
    np.testing.assert_array_equal(result.scores.logits[order], expected.scores.logits)
    np.testing.assert_array_equal(result.scores.labels[order], expected.scores.labels)
    assert result.metrics == pytest.approx(expected.metrics)
    assert len(result.scores.unreadable) == 1


def test_a_stream_has_the_features_of_its_videos(checkpoints, videos, stream, order):
    features = extract_features(checkpoints[0], stream, "clip", batch_size=1)
    expected = extract_features(checkpoints[0], videos, "clip", batch_size=1)
    assert_close(features.values[order], expected.values, rtol=0, atol=0, equal_nan=True)
    np.testing.assert_array_equal(features.labels[order], expected.labels)
    assert features.label_names == expected.label_names


def test_a_stream_is_classified_as_its_videos_are(checkpoints, videos, stream, order):
    classify = VideoClassificationPipeline(checkpoints[0], policy="skip")
    labels = classify(stream)
    assert iter(labels) is labels
    labels = list(labels)
    assert [labels[place] for place in order] == list(classify(videos))
    assert [name for name, _ in classify.policy.skipped][1].endswith("up/broken.mp4")
    assert labels.count(None) == 1


def test_a_record_is_classified_as_its_file_is(checkpoints, videos):
    classify = VideoClassificationPipeline(checkpoints[0])
    assert classify(videos[0]) == classify(videos[0].source)
    assert classify([videos[0], videos[1]]) == [classify(videos[0]), classify(videos[1])]


def test_a_label_of_the_stream_that_the_model_does_not_know_is_named(checkpoints, shards):
    other = stream_videos(shards, labels=["left", "right", "upp"])
    with pytest.raises(ValueError, match=r"does not know: upp \(did you mean 'up'\?\)"):
        evaluate(checkpoints[0], other)
