import json
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from clips import moving_square, write_clip
from muybridge.cli import main
from muybridge.data import VideoRecord, VideoRecords, check_videos, load_videos
from muybridge.data.targets import Box, Boxes, Depth, Label, Labels, Masks


def clip(path: Path, seed: int = 0, num_frames: int = 20) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(seed, num_frames))
    return path


@cache
def encoded(seed: int, num_frames: int) -> bytes:
    """A clip is encoded once: a second time the same frames may become other bytes."""
    with tempfile.TemporaryDirectory() as folder:
        frames = moving_square(num_frames=num_frames, height=48, width=64, seed=seed)
        return write_clip(Path(folder) / "clip.mp4", frames, fps=10).read_bytes()


def found(report) -> set[tuple[str, tuple[str, ...]]]:
    return {(finding.kind, tuple(Path(video).name for video in finding.videos)) for finding in report.findings}


def damage_the_middle(path: Path) -> None:
    """Overwrites bytes of the packets in the middle; the header stays whole."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle - 400 : middle + 400] = b"\xff" * 800
    path.write_bytes(data)


def test_a_sound_data_set_has_no_findings(tmp_path):
    clip(tmp_path / "x" / "a.mp4")
    clip(tmp_path / "y" / "b.mp4", seed=1)
    report = check_videos(load_videos(tmp_path))
    assert not report.findings
    assert report.num_clips == 2
    assert report.duration_seconds == pytest.approx(4.0)
    assert report.clips_per_label == {"x": 1, "y": 1}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_each_kind_of_fault_is_found(tmp_path, num_workers):
    for name, seed in (("train/x/a.mp4", 1), ("train/y/b.mp4", 2), ("test/x/c.mp4", 3), ("test/y/a_again.mp4", 1)):
        clip(tmp_path / name, seed)
    clip(tmp_path / "train/x/short.mp4", 4, num_frames=3)
    clip(tmp_path / "train/y/b_again.mp4", 2)
    (tmp_path / "train/y/empty.mp4").write_bytes(b"")
    report = check_videos(load_videos(tmp_path), num_workers=num_workers, min_seconds=0.5)
    assert found(report) == {
        ("corrupt", ("empty.mp4",)),
        ("short", ("short.mp4",)),
        ("duplicate", ("a_again.mp4", "a.mp4")),
        ("leaking", ("a_again.mp4", "a.mp4")),
        ("duplicate", ("b.mp4", "b_again.mp4")),
    }
    reasons = {finding.kind: finding.reason for finding in report.findings}
    assert reasons["short"] == "it lasts 0.30 s, which is less than 0.5 s"
    assert "in test and train" in reasons["leaking"]


def test_the_same_bytes_with_two_labels_are_pointed_out(tmp_path):
    clip(tmp_path / "wave" / "a.mp4")
    clip(tmp_path / "jump" / "b.mp4")
    (finding,) = check_videos(load_videos(tmp_path)).findings
    assert finding.reason == "the same bytes, with the labels jump and wave"


def test_a_group_in_training_and_test_is_a_leak(tmp_path):
    sources = [str(clip(tmp_path / f"{number}.mp4", number)) for number in range(3)]
    rows = [("train", "anna"), ("test", "anna"), ("test", "ben")]
    records = VideoRecords(
        VideoRecord(source, split=split, group=group) for source, (split, group) in zip(sources, rows, strict=True)
    )
    (finding,) = check_videos(records).findings
    assert (finding.kind, finding.videos) == ("leaking", tuple(sources[:2]))
    assert finding.reason == "the group anna is in several splits: 1 in train, 1 in test"


def test_parts_of_one_video_are_no_duplicates_and_must_lie_in_it(tmp_path):
    source = str(clip(tmp_path / "a.mp4"))
    parts = [VideoRecord(source, end_seconds=1.0), VideoRecord(source, start_seconds=1.0)]
    assert not check_videos(VideoRecords(parts)).findings
    (finding,) = check_videos(VideoRecords([VideoRecord(source, start_seconds=5.0)])).findings
    assert finding.kind == "corrupt"
    assert "no frame comes on display" in finding.reason


def test_targets_that_contradict_their_video_are_found_each_with_its_kind(tmp_path):
    source = str(clip(tmp_path / "a.mp4"))
    fitting = Masks(np.zeros((20, 48, 64), dtype=np.uint8))
    targets = {
        "label": Label("x"),
        "labels": Labels(("y", "z")),
        "boxes": Boxes((Box(0, 0, 64, 48, frame=19), Box(60, 40, 70, 48, frame=3))),
        "masks": fitting,
        "depth": Depth(str(tmp_path / "gone.npz")),
    }
    records = VideoRecords([VideoRecord(source, targets=targets)])
    findings = check_videos(records).findings
    assert {finding.kind for finding in findings} == {"contradictory"}
    assert [finding.reason.partition(":")[0] for finding in findings] == ["boxes", "depth", "label"]
    assert findings[0].reason == "boxes: the box (60, 40, 70, 48) at frame 3 reaches out of the picture, which is 64×48"
    assert "'x' is not among the labels, which are y, z" in findings[2].reason
    sound = VideoRecords([VideoRecord(source, "y", targets={"masks": fitting, "labels": Labels(("y", "z"))})])
    report = check_videos(sound)
    assert not report.findings
    assert report.clips_per_target == {"label": 1, "masks": 1, "labels": 1}
    assert report.clips_per_label == {"y": 1, "z": 1}


def test_a_further_source_that_cannot_be_read_is_named(tmp_path):
    source = clip(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_bytes(b"nothing")
    records = VideoRecords([VideoRecord(sources={"video": str(source), "infrared": str(tmp_path / "b.mp4")})])
    (finding,) = check_videos(records).findings
    assert (finding.kind, finding.videos) == ("corrupt", (str(source),))
    assert finding.reason.startswith("infrared: this is not a video")


def test_damage_in_the_middle_is_found_by_decoding_and_missed_by_a_quick_look(tmp_path):
    path = clip(tmp_path / "a.mp4", num_frames=60)
    damage_the_middle(path)
    records = VideoRecords([VideoRecord(str(path))])
    assert not check_videos(records, is_quick=True).findings
    assert found(check_videos(records)) == {("corrupt", ("a.mp4",))}


def test_the_command_prints_a_table_and_writes_json(tmp_path, capsys):
    clip(tmp_path / "x" / "a.mp4")
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "broken.mp4").write_bytes(b"nothing")
    report = tmp_path / "report.json"
    assert main(["check", str(tmp_path), "--output", str(report)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["finding", "videos", "reason"]
    assert lines[1].startswith("corrupt")
    assert lines[-1] == "1 corrupt, 0 short, 0 duplicate, 0 leaking, 0 contradictory"
    written = json.loads(report.read_text())
    assert written["counts"] == {"corrupt": 1, "short": 0, "duplicate": 0, "leaking": 0, "contradictory": 0}
    assert main(["check", str(tmp_path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == written
    (tmp_path / "y" / "broken.mp4").unlink()
    (tmp_path / "y").rmdir()
    assert main(["check", str(tmp_path), "--quick"]) == 0
    assert "nothing is wrong with them" in capsys.readouterr().out


def test_real_hostile_files_are_told_from_sound_ones(shared_data):
    report = check_videos(load_videos(shared_data / "hostile"), num_workers=2)
    assert found(report) == {("corrupt", ("corrupted.mp4",))}
