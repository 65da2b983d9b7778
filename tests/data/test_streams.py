from pathlib import Path

import datasets
import pytest
import torch
from torch.utils.data import DataLoader

from clips import moving_square, write_clip
from muybridge.data import DataError, VideoRecord, VideoRecords
from muybridge.data.items import ClipDataset, collate_items
from muybridge.data.shards import pack_videos
from muybridge.data.streams import StreamDataset, stream_videos
from muybridge.processing import ClipMaker, VideoProcessor, View, make_training_changes


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Path:
    """Four shards of three clips; one clip is no video."""
    folder = tmp_path_factory.mktemp("streams")
    records = []
    for number in range(12):
        path = folder / f"{number}.mp4"
        if number == 5:
            path.write_bytes(b"this is no video")
        else:
            write_clip(path, moving_square(num_frames=6, height=32, width=40, seed=number))
        records.append(VideoRecord(str(path), "xy"[number % 2], split="train"))
    pack_videos(VideoRecords(records, ["x", "y"]), folder / "packed", shard_size=3)
    return folder / "packed"


@pytest.fixture
def clip_maker() -> ClipMaker:
    processor = VideoProcessor(num_frames=4, size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24})
    return ClipMaker(processor, {"clip": View(is_random=True, changes=make_training_changes())})


def test_a_stream_gives_the_records_and_their_videos(shards):
    records = list(stream_videos(f"webdataset:{shards}/*.tar", labels=["x", "y"]))
    assert len(records) == 12
    assert {record.label for record in records} == {"x", "y"}
    assert all(record.source.data for record in records)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_every_readable_clip_of_a_stream_comes_once(shards, clip_maker, num_workers):
    clips = StreamDataset(stream_videos(f"webdataset:{shards}/*.tar", labels=["x", "y"]), clip_maker)
    batches = list(DataLoader(clips, batch_size=4, num_workers=num_workers, collate_fn=collate_items))
    labels = torch.cat([batch["targets"]["label"] for batch in batches]).tolist()
    assert sorted(labels) == [0] * 6 + [1] * 5
    assert batches[0]["views"]["clip"]["pixel_values_videos"].shape == (4, 4, 3, 24, 24)
    assert len(clips.skipped) == 1


def test_items_of_a_stream_are_those_of_a_data_set(shards, clip_maker):
    """A first clip is drawn for by the same numbers in both: seed 0, epoch or worker 0, index 0."""
    stream = stream_videos(f"webdataset:{shards}/*.tar", labels=["x", "y"])
    streamed = next(iter(StreamDataset(stream, clip_maker)))
    item = ClipDataset(VideoRecords([next(iter(stream))], ["x", "y"]), clip_maker)[0]
    assert streamed.keys() == item.keys()
    assert (streamed["targets"], streamed["index"]) == (item["targets"], item["index"])
    assert torch.equal(streamed["views"]["clip"]["pixel_values_videos"], item["views"]["clip"]["pixel_values_videos"])


def test_a_shuffled_stream_has_another_order_each_epoch(shards):
    stream = stream_videos(f"webdataset:{shards}/*.tar", labels=["x", "y"]).shuffle(seed=1, buffer_size=4)
    orders = []
    for epoch in (0, 1, 0):
        stream.set_epoch(epoch)
        orders.append([record.name for record in stream])
    assert orders[0] == orders[2]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])


def test_labels_come_from_the_features_where_these_have_them(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", moving_square(num_frames=3, height=32, width=32))
    features = datasets.Features(video=datasets.Video(decode=False), label=datasets.ClassLabel(names=["no", "yes"]))
    rows = {"video": [{"bytes": None, "path": str(clip)}], "label": [1]}
    stream = stream_videos(datasets.Dataset.from_dict(rows, features=features).to_iterable_dataset())
    assert stream.labels == ("no", "yes")
    assert [(record.source, record.label) for record in stream] == [(str(clip), "yes")]


def test_what_needs_no_labels_takes_a_stream_that_does_not_tell_them(shards, clip_maker):
    stream = stream_videos(f"webdataset:{shards}/*.tar")
    assert stream.labels == ()
    assert {record.label for record in stream} == {"x", "y"}
    items = list(StreamDataset(stream, clip_maker, targets=[]))
    assert len(items) == 11
    assert all(item["targets"] == {} for item in items)


def test_a_stream_of_several_videos_a_row_has_them_as_sources(tmp_path, clip_maker):
    clips = [
        write_clip(tmp_path / name, moving_square(num_frames=6, height=32, width=32)) for name in ("a.mp4", "b.mp4")
    ]
    videos = [{"bytes": clip.read_bytes(), "path": clip.name} for clip in clips]
    features = datasets.Features(
        video=datasets.Video(decode=False),
        wrist=datasets.Video(decode=False),
        labels=datasets.Sequence(datasets.ClassLabel(names=["push", "lift"])),
    )
    rows = {"wrist": videos[1:], "video": videos[:1], "labels": [[1]]}
    stream = stream_videos(datasets.Dataset.from_dict(rows, features=features).to_iterable_dataset())
    (record,) = stream
    assert {name: source.name for name, source in record.sources.items()} == {"video": "a.mp4", "wrist": "b.mp4"}
    assert record.extra == {}
    (item,) = StreamDataset(stream, clip_maker, targets=["labels"])
    assert item["targets"]["labels"]["multi_hot"].tolist() == [0, 1]


def test_what_cannot_be_streamed_says_so(shards, clip_maker):
    with pytest.raises(DataError, match=r"cannot be streamed; it must begin with videofolder:, webdataset:"):
        stream_videos(str(shards))
    with pytest.raises(DataError, match="pass labels="):
        list(StreamDataset(stream_videos(f"webdataset:{shards}/*.tar"), clip_maker))
    with pytest.raises(DataError, match="no split 'test'; it has train"):
        stream_videos(f"webdataset:{shards}/*.tar", "test", labels=["x", "y"])
    with pytest.raises(DataError, match="the label 'y' is none of the known ones: x"):
        list(StreamDataset(stream_videos(f"webdataset:{shards}/*.tar", labels=["x"]), clip_maker))
