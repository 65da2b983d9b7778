import multiprocessing
import pickle
from dataclasses import replace

import psutil
import pytest
import torch

import memory
from clips import decode_from_start, moving_square, write_clip
from muybridge.data import DataError, VideoRecord, VideoRecords, check_labels, require_targets
from muybridge.data.targets import Caption, Label, Labels
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


@pytest.fixture(scope="module")
def heavy() -> VideoRecords:
    """Records of more than 20 MB."""
    records = VideoRecords(VideoRecord(f"{number}.mp4", extra={"text": str(number) * 200}) for number in range(20_000))
    assert len(pickle.dumps(records)) > 20_000_000
    return records


def test_records_go_to_a_process_without_being_copied(heavy):
    """What the pipe of a spawned process carries is handles, of a selection too."""
    for records in (heavy, heavy.select(range(0, 20_000, 2))):
        assert len(bytes(multiprocessing.reduction.ForkingPickler.dumps(records))) < 10_000


@pytest.mark.skipif(not memory.SMAPS.exists(), reason="Linux tells how much memory is a process's own")
@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_processes_that_read_all_records_have_no_copy_of_them(context, heavy):
    processes = multiprocessing.get_context(context)
    receiver, sender = processes.Pipe(duplex=False)
    arguments = (heavy, sender, processes.Barrier(2))
    readers = [processes.Process(target=memory.read_all, args=arguments) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in readers:
        assert receiver.poll(280)
        num_characters, own_bytes = receiver.recv()
        assert num_characters == sum(len(record.name) for record in heavy)
        assert own_bytes < 5_000_000
    for reader in readers:
        reader.join()


def test_a_record_says_its_one_source_and_label_in_short():
    record = VideoRecord("a.mp4", "wave")
    assert record == VideoRecord(sources={"video": "a.mp4"}, targets={"label": Label("wave")})
    assert (record.source, record.label, record.labels) == ("a.mp4", "wave", ("wave",))
    assert replace(record, split="test").targets == record.targets
    several = VideoRecord("a.mp4", targets={"labels": Labels(("wave", "jump"))})
    assert (several.label, several.labels) == (None, ("jump", "wave"))
    with pytest.raises(ValueError, match="a record has a source, or sources by name"):
        VideoRecord()
    with pytest.raises(ValueError, match="a record has a source, or sources by name"):
        VideoRecord("a.mp4", sources={"video": "a.mp4"})
    with pytest.raises(ValueError, match="the label is 'x', and the targets have one too"):
        VideoRecord("a.mp4", "x", targets={"label": Label("y")})


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("records") / "clip.mp4"
    return write_clip(path, moving_square(num_frames=30, height=32, width=48), fps=10)


def test_sources_are_opened_by_name_and_in_step(clip, tmp_path):
    second = write_clip(tmp_path / "second.mp4", moving_square(num_frames=30, height=32, width=48, seed=1), fps=10)
    sources = {"video": str(clip), "infrared": str(second)}
    records = VideoRecords([VideoRecord(sources=sources, start_seconds=1.0, end_seconds=2.0)])
    with records.open_all(records[0]) as readers:
        assert list(readers) == ["video", "infrared"]
        for name, path in sources.items():
            assert torch.equal(readers[name].frames_at([0, 9]), decode_from_start(path)[[10, 19]])
            assert readers[name].metadata.duration_seconds == pytest.approx(1.0)
    with records.open(records[0]) as main, records.open(records[0], "infrared") as other:
        assert not torch.equal(main.frames_at([3]), other.frames_at([3]))
    with pytest.raises(DataError, match=r"clip\.mp4 .* has no source 'depth'; it has video, infrared"):
        records.open(records[0], "depth")


def test_where_one_source_cannot_be_opened_the_others_are_closed(clip, tmp_path):
    records = VideoRecords([VideoRecord(sources={"video": str(clip), "infrared": str(tmp_path / "gone.mp4")})])
    before = count_open_files()
    with pytest.raises(VideoError, match=r"gone\.mp4"), records.open_all(records[0]):
        pass
    assert count_open_files() == before


def count_open_files() -> int:
    return len(psutil.Process().open_files())


def test_what_needs_a_target_names_the_clips_that_lack_it():
    records = VideoRecords(
        [
            VideoRecord("a.mp4", "x"),
            VideoRecord("b.mp4", targets={"caption": Caption(("a disc",))}),
            VideoRecord("c.mp4"),
        ]
    )
    with pytest.raises(
        DataError, match=r"^sprites: 2 of 3 clips have no label: b\.mp4, c\.mp4, which have caption; put"
    ):
        require_targets(records, "label", "sprites")
    with pytest.raises(DataError, match=r"no clip has boxes: .*give their manifest a column 'boxes'"):
        require_targets(records, "boxes")
    require_targets(records[:1], "label")
    with pytest.raises(ValueError, match="'box' is not known"):
        require_targets(records, "box")


def test_a_classifier_needs_a_label_for_each_clip_and_two_of_them():
    records = VideoRecords([VideoRecord("a.mp4", "x"), VideoRecord("b.mp4", "y"), VideoRecord("c.mp4")])
    check_labels(records[:2])
    with pytest.raises(DataError, match=r"1 of 3 clips have no label: c\.mp4"):
        check_labels(records)
    with pytest.raises(DataError, match="clips: all 1 clips have the label 'x'; a classifier learns nothing"):
        check_labels(records[:1], "clips")


@pytest.mark.parametrize(("start", "end"), [(-1.0, None), (2.0, 2.0), (None, 0.0)])
def test_segments_that_cannot_be_are_refused(start, end):
    with pytest.raises(ValueError, match=r"_seconds is"):
        VideoRecord("a.mp4", start_seconds=start, end_seconds=end)
