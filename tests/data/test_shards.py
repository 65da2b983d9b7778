import json
import shutil
import tarfile
from fractions import Fraction
from pathlib import Path

import av
import datasets
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from clips import decode_from_start, moving_square, write_clip
from muybridge.cli import main
from muybridge.data import DataError, Encoding, VideoRecord, VideoRecords, check_videos, load_videos, pack_videos
from muybridge.data.items import ClipDataset, collate_items
from muybridge.processing import ClipMaker, VideoProcessor, View, make_training_changes
from muybridge.video import ErrorPolicy, VideoError, VideoReader


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    rows = ["path,label,split,group,camera"]
    for number in range(7):
        path = folder / f"{number}.mp4"
        write_clip(path, moving_square(num_frames=12, height=48, width=66, seed=number), fps=10)
        split = "train" if number < 5 else "test"
        rows.append(f"{path.name},{'jump' if number % 2 else 'wave'},{split},group{number},left")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


def bytes_of(records: VideoRecords, record: VideoRecord) -> bytes:
    with records.open_file(record) as file:
        return file.read()


def facts(record: VideoRecord) -> tuple:
    return record.label, record.split, record.group, record.extra


def test_packed_clips_are_the_clips_in_their_order(folder, tmp_path):
    records = load_videos(folder)
    report = pack_videos(records, tmp_path / "packed", shard_size=2)
    packed = load_videos(tmp_path / "packed")
    assert (report.num_shards, report.num_clips, report.skipped) == (4, 7, {})
    assert packed.labels == records.labels
    assert list(map(facts, packed)) == list(map(facts, records))
    for one, other in zip(packed, records, strict=True):
        assert bytes_of(packed, one) == bytes_of(records, other)


def test_shards_hold_one_split_each_and_its_classes_mixed(folder, tmp_path):
    pack_videos(load_videos(folder), tmp_path, shard_size=4)
    names = sorted(path.name for path in tmp_path.glob("*.tar"))
    assert names == ["test-000000.tar", "train-000000.tar", "train-000001.tar"]
    with tarfile.open(tmp_path / "train-000000.tar") as archive:
        members = archive.getnames()
        number = json.load(archive.extractfile(members[1]))
    assert [name.partition(".")[2] for name in members[:3]] == ["mp4", "json", "cls"]
    assert members[::3] != sorted(members[::3])
    assert number["camera"] == "left"


def test_training_on_shards_equals_training_on_files(folder, tmp_path):
    pack_videos(load_videos(folder), tmp_path, shard_size=3)
    side = {"height": 32, "width": 32}
    processor = VideoProcessor(num_frames=4, sampling="dense", size={"shortest_edge": 40}, crop_size=side)
    batches = []
    for place in (folder, tmp_path):
        view = View(is_random=True, changes=make_training_changes())
        clips = ClipDataset(load_videos(place), ClipMaker(processor, {"clip": view}), seed=5)
        order = torch.randperm(7, generator=torch.Generator().manual_seed(1)).tolist()
        loader = DataLoader(clips, batch_size=7, sampler=order, num_workers=2, collate_fn=collate_items)
        batches += list(loader)
    first, second = (batch["views"]["clip"]["pixel_values_videos"] for batch in batches)
    assert torch.equal(first, second)
    assert torch.equal(batches[0]["targets"]["label"], batches[1]["targets"]["label"])


def test_the_library_datasets_reads_the_shards(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    records = load_videos(folder)
    pack_videos(records, tmp_path / "packed", shard_size=4)
    read = load_videos(f"webdataset:{tmp_path}/packed/*.tar", "test")
    expected = [
        (record.label, record.split, record.group, {**record.extra, "name": record.name})
        for record in records.with_split("test")
    ]
    assert sorted(map(facts, read), key=str) == sorted(expected, key=str)
    with read.open(read[0]) as reader:
        assert len(reader) == 12
    streamed = datasets.load_dataset("webdataset", data_files=f"{tmp_path}/packed/*.tar", streaming=True)
    first = next(iter(streamed["train"].cast_column("mp4", datasets.Video(decode=False))))
    assert first["cls"] == records.label2id[first["json"]["label"]]


@pytest.fixture
def rich_folder(tmp_path) -> Path:
    """Two clips of which much is known, with a second camera."""
    folder = tmp_path / "rich"
    folder.mkdir()
    rows = []
    for number in range(2):
        for camera in ("a", "b"):
            frames = moving_square(num_frames=6, height=48, width=64, seed=10 * number + ord(camera))
            write_clip(folder / f"{number}{camera}.mp4", frames, fps=10)
        random = np.random.default_rng(number)
        np.savez(
            folder / f"{number}.npz",
            masks=random.integers(0, 3, (6, 48, 64)).astype(np.uint8),
            flow=random.normal(size=(5, 2, 48, 64)).astype(np.float32),
        )
        boxes = [{"box": [8, 12, 32, 48], "frame": 2, "label": "cat", "identity": "1"}]
        row = {"path": f"{number}a.mp4", "path_infrared": f"{number}b.mp4", "labels": ["x", "y"][: number + 1]}
        rows.append({**row, "caption": ["a cat", "it runs"], "boxes": boxes, "camera": "left"})
        rows[-1].update(masks=f"{number}.npz", flow=f"{number}.npz")
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_packing_keeps_all_that_is_known_and_all_sources(rich_folder, tmp_path):
    records = load_videos(rich_folder)
    pack_videos(records, tmp_path / "packed")
    shutil.rmtree(rich_folder)
    packed = load_videos(tmp_path / "packed")
    assert packed.names == records.names == {"labels": ("x", "y"), "boxes": ("cat",)}
    for one, other in zip(packed, records, strict=True):
        assert list(one.sources) == ["video", "infrared"]
        assert one.extra == {"camera": "left"}
        assert {kind: one.targets[kind] for kind in ("labels", "caption", "boxes")} == {
            kind: other.targets[kind] for kind in ("labels", "caption", "boxes")
        }
    for number, record in enumerate(packed):
        random = np.random.default_rng(number)
        assert np.array_equal(record.targets["masks"].load(), random.integers(0, 3, (6, 48, 64)))
        assert np.array_equal(record.targets["flow"].load(), random.normal(size=(5, 2, 48, 64)).astype(np.float32))
        with packed.open_all(record) as readers:
            first, second = (reader.frames_at(range(6)).float() for reader in readers.values())
        assert (first - second).abs().mean() > 5
    assert not check_videos(packed).findings
    foreign = load_videos(shards_alone(tmp_path / "packed"))
    assert [list(record.sources) for record in foreign] == [["video", "infrared"]] * 2
    assert {record.targets["labels"] for record in foreign} == {record.targets["labels"] for record in packed}


def shards_alone(folder: Path) -> Path:
    """The shards as others have them, without our index."""
    for path in folder.iterdir():
        if path.suffix != ".tar":
            path.unlink()
    return folder


def test_what_is_in_pixels_follows_where_encoding_makes_clips_smaller(rich_folder, tmp_path):
    records = load_videos(rich_folder)
    pack_videos(records, tmp_path / "packed", encoding=Encoding(short_side=24))
    packed = load_videos(tmp_path / "packed")
    for one, other in zip(packed, records, strict=True):
        assert one.targets["boxes"].boxes[0][:4] == (4, 6, 16, 24)
        masks, flow = (other.targets[kind].load() for kind in ("masks", "flow"))
        assert np.array_equal(one.targets["masks"].load(), masks[:, 1::2, 1::2])
        assert np.array_equal(one.targets["flow"].load(), flow[:, :, 1::2, 1::2] / 2)
    assert not check_videos(packed).findings


def test_sound_that_encoding_would_lose_is_not_lost_in_silence(folder, tmp_path):
    source = str(folder / "0.mp4")
    records = VideoRecords([VideoRecord(sources={"video": source, "sound": source})])
    with pytest.raises(DataError, match=r"0\.mp4 has the source 'sound', and encoding writes videos without sound"):
        pack_videos(records, tmp_path / "packed", encoding=Encoding(short_side=24))
    pack_videos(records, tmp_path / "packed")
    (record,) = load_videos(tmp_path / "packed")
    assert record.sources["video"] == record.sources["sound"]


def test_an_interrupted_packing_goes_on(folder, tmp_path):
    records = load_videos(folder)
    pack_videos(records, tmp_path / "whole", shard_size=2)
    pack_videos(records, tmp_path / "again", shard_size=2)
    kept = tmp_path / "again" / "train-000000.tar"
    (tmp_path / "again" / "index.json").unlink()
    (tmp_path / "again" / "train-000001.jsonl").unlink()
    (tmp_path / "again" / "train-000001.tar").write_bytes(b"half of")
    (tmp_path / "again" / ".test-000000.tar.partial").write_bytes(b"half of")
    before = kept.stat().st_mtime_ns
    with pytest.raises(DataError, match="not all written; run the same `muybridge pack` again"):
        load_videos(tmp_path / "again")
    pack_videos(records, tmp_path / "again", shard_size=2)
    assert kept.stat().st_mtime_ns == before
    for path in (tmp_path / "whole").glob("*.tar"):
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_another_packing_is_not_mixed_in(folder, tmp_path):
    records = load_videos(folder)
    pack_videos(records, tmp_path / "packed", shard_size=2)
    with pytest.raises(DataError, match="another packing, which differs in shard_size"):
        pack_videos(records, tmp_path / "packed", shard_size=3)
    with pytest.raises(DataError, match="differs in clips, digest"):
        pack_videos(records.with_split("test"), tmp_path / "packed", shard_size=2)
    with pytest.raises(DataError, match="is not empty"):
        pack_videos(records, folder)


def test_unreadable_clips_are_left_out_and_listed_also_the_second_time(folder, tmp_path):
    records = VideoRecords([*load_videos(folder), VideoRecord(str(tmp_path / "gone.mp4"), "jump")], ["jump", "wave"])
    for _ in range(2):
        report = pack_videos(records, tmp_path / "packed", shard_size=3)
        assert report.skipped == {str(tmp_path / "gone.mp4"): "there is no such file"}
    assert len(load_videos(tmp_path / "packed")) == 7
    with pytest.raises(VideoError, match=r"gone\.mp4"):
        pack_videos(records, tmp_path / "other", policy=ErrorPolicy("raise"))
    assert not list((tmp_path / "other").glob(".*"))


def test_encoding_anew_shrinks_and_sets_keyframes_and_keeps_times(tmp_path):
    source = tmp_path / "uneven.mkv"
    times = [0, 40, 100, 300, 340, 700, 710, 900, 1000, 1100]
    frames = moving_square(num_frames=10, height=64, width=97)
    write_clip(source, frames[..., :96], times=times, time_base=Fraction(1, 1000))
    records = VideoRecords([VideoRecord(str(source), "x")], ["x", "y"])
    pack_videos(records, tmp_path / "packed", encoding=Encoding(short_side=32, keyframe_interval=3))
    packed = load_videos(tmp_path / "packed")
    with packed.open(packed[0]) as small, VideoReader(str(source)) as large:
        assert (small.metadata.height, small.metadata.width) == (32, 48)
        assert small.frame_seconds == pytest.approx(large.frame_seconds, abs=1e-4)
        expected = large.frames_at(range(10), size=(32, 48))
        error = (small.frames_at(range(10)).float() - expected.float()).abs().mean()
    assert error < 8  # the background is noise, of which H.264 halves the colours
    with av.open(packed_file(packed, tmp_path)) as container:
        keyframes = [number for number, frame in enumerate(container.decode(video=0)) if frame.key_frame]
        assert not container.streams.audio
    assert keyframes == [0, 3, 6, 9]


def packed_file(records: VideoRecords, folder: Path) -> str:
    path = folder / "packed.mp4"
    path.write_bytes(bytes_of(records, records[0]))
    return str(path)


def test_encoding_anew_cuts_segments_out_and_does_not_enlarge(folder, tmp_path):
    source = str(folder / "0.mp4")
    records = VideoRecords([VideoRecord(source, "x", 0.3, 0.8)], ["x", "y"])
    pack_videos(records, tmp_path, encoding=Encoding(short_side=200))
    packed = load_videos(tmp_path)
    assert packed[0].end_seconds is None
    with packed.open(packed[0]) as reader:
        assert len(reader) == 5
        assert (reader.metadata.height, reader.metadata.width) == (48, 66)
        error = (reader.frames_at([0]).float() - decode_from_start(source)[[3]].float()).abs().mean()
    assert error < 6


@pytest.mark.parametrize("wrong", [{"short_side": 8}, {"keyframe_interval": 0}])
def test_encodings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="or more"):
        Encoding(**wrong)


def test_a_shard_that_was_cut_off_is_named(folder, tmp_path):
    pack_videos(load_videos(folder), tmp_path)
    shard = tmp_path / "test-000000.tar"
    shard.write_bytes(shard.read_bytes()[:2000])
    packed = load_videos(tmp_path, "test")
    with pytest.raises(VideoError, match=r"test-000000\.tar/.*the shard ends after"):
        [packed.open(record) for record in packed]


def test_the_command_packs_with_two_processes(folder, tmp_path, capsys):
    command = ["pack", str(folder), "--output", str(tmp_path / "packed"), "--shard-size", "3", "--short-side", "32"]
    assert main([*command, "--num-workers", "2"]) == 0
    assert capsys.readouterr().out.startswith("7 clips in 3 shards, ")
    assert load_videos(tmp_path / "packed").splits == ("train", "test")
