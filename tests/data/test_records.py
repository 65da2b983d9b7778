import multiprocessing
import pickle

import pytest
import torch

from clips import decode_from_start, moving_square, write_clip
from muybridge.data import VideoRecord, VideoRecords
from muybridge.data.segments import SegmentReader
from muybridge.video import VideoError


def many(count: int) -> VideoRecords:
    return VideoRecords([VideoRecord(f"{number}.mp4", label=str(number % 3)) for number in range(count)], list("012"))


def test_records_come_back_as_they_went_in():
    records = [VideoRecord("a.mp4", extra={"camera": [1, "left"]}), VideoRecord("b.mp4", "x", 1.0, 2.5, "test", "g")]
    packed = VideoRecords(records, ["x"])
    assert list(packed) == records
    assert [packed[0], packed[-1]] == [records[0], records[1]]
    with pytest.raises(IndexError):
        packed[2]


def test_selections_keep_labels_and_order():
    chosen = many(10).select([7, 2])[1:]
    assert [record.source for record in chosen] == ["2.mp4"]
    assert chosen.labels == ("0", "1", "2")
    assert list(many(10).where(lambda record: record.label == "2").label_ids()) == [2, 2, 2]


def test_a_pickled_copy_is_the_same():
    assert list(pickle.loads(pickle.dumps(many(5).select([4, 1])))) == [many(5)[4], many(5)[1]]


def test_records_go_to_a_process_without_being_copied():
    """A hundred thousand records weigh megabytes; what the pipe of a spawned process carries is handles."""
    data = bytes(multiprocessing.reduction.ForkingPickler.dumps(many(100_000)))
    assert len(data) < 10_000


@pytest.mark.parametrize(("start", "end"), [(-1.0, None), (2.0, 2.0), (None, 0.0)])
def test_segments_that_cannot_be_are_refused(start, end):
    with pytest.raises(ValueError, match=r"_seconds is"):
        VideoRecord("a.mp4", start_seconds=start, end_seconds=end)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("segments") / "clip.mp4"
    return write_clip(path, moving_square(num_frames=30, height=32, width=48), fps=10)


def test_a_segment_is_the_frames_of_its_time(clip):
    frames = decode_from_start(clip)
    with SegmentReader(str(clip), start_seconds=0.5, end_seconds=1.0) as reader:
        assert len(reader) == 5
        assert torch.equal(reader.frames_at([0, 4, -1]), frames[[5, 9, 9]])
        assert torch.equal(torch.cat(list(reader.batches(2))), frames[5:10])
        assert torch.equal(reader.frames_at_seconds([0.25]), frames[[7]])
        assert reader.metadata.num_frames == 5
        assert reader.metadata.duration_seconds == pytest.approx(0.5)
        assert reader.frame_seconds.tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
        with pytest.raises(IndexError, match="frame 5 is not in"):
            reader.frames_at([5])


def test_a_segment_ends_with_its_video_and_is_not_empty(clip):
    with SegmentReader(str(clip), start_seconds=2.8, end_seconds=100) as reader:
        assert len(reader) == 2
    with pytest.raises(VideoError, match=r"no frame comes on display from 3 s to 4 s; the last one .* 2\.9 s"):
        SegmentReader(str(clip), start_seconds=3, end_seconds=4)


def test_a_segment_can_go_to_another_process(clip):
    with SegmentReader(str(clip), start_seconds=1.0, end_seconds=2.0) as reader:
        copy = pickle.loads(pickle.dumps(reader))
    with copy:
        assert torch.equal(copy.frames_at([0]), decode_from_start(clip)[[10]])
