"""Each way a video can be wrong has its own words, and a policy decides what follows."""

import os
import pickle
import random
import struct
from pathlib import Path

import av
import pytest
import torch

from clips import decode_from_start, moving_square, write_clip, write_sound
from muybridge.video import ErrorPolicy, VideoError, VideoReader

FRAMES = moving_square(num_frames=40, height=48, width=64)


def read_all(path: Path) -> int:
    """The number of frames; every one is read both in order and at random."""
    with VideoReader(path) as reader:
        num_frames = sum(len(batch) for batch in reader.batches(16))
        reader.frames_at([len(reader) - 1, 0])
        return num_frames


def empty(folder: Path) -> Path:
    (folder / "empty.mp4").write_bytes(b"")
    return folder / "empty.mp4"


def text(folder: Path) -> Path:
    (folder / "notes.txt").write_text("Leland Stanford asked whether a horse flies. " * 100)
    return folder / "notes.txt"


def noise(folder: Path) -> Path:
    (folder / "noise.mp4").write_bytes(random.Random(0).randbytes(10_000))
    return folder / "noise.mp4"


def headers_only(folder: Path) -> Path:
    """A stream that starts, and holds no picture."""
    path = write_clip(folder / "clip.mp4", FRAMES[:2])
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    length = int.from_bytes(data[start - 8 : start - 4], "big") - 8
    data[start : start + length] = bytes(length)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda folder: folder / "absent.mp4", "there is no such file"),
        (lambda folder: folder, "this is a folder"),
        (empty, "the file is empty"),
        (text, "this is not a video"),
        (noise, "this is not a video that ffmpeg can read"),
        (lambda folder: write_sound(folder / "sound.wav"), "no video stream that can be decoded: .* audio"),
        (headers_only, "decod"),
    ],
)
def test_what_is_wrong_is_said_with_the_name_of_the_file(make, reason: str, tmp_path: Path) -> None:
    path = make(tmp_path)
    with pytest.raises(VideoError, match=reason) as caught:
        VideoReader(path)
    assert caught.value.source == str(path)
    assert str(path) in str(caught.value)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.3,\nother.ts\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile other.ts\n"),
    ],
)
def test_a_list_of_files_is_refused_and_none_of_them_opened(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    os.mkfifo(tmp_path / "other.ts")  # whoever opens it waits for ever
    with pytest.raises(VideoError, match="lists of other files are not read"):
        VideoReader(tmp_path / name)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".avi", ".mkv", ".webm"])
def test_a_truncated_file_is_recognised_wherever_it_is_cut(suffix: str, tmp_path: Path) -> None:
    codec = "libvpx" if suffix == ".webm" else "libx264"
    data = write_clip(tmp_path / f"whole{suffix}", FRAMES, codec=codec).read_bytes()
    path = tmp_path / f"cut{suffix}"
    for percent in (1, 5, 20, 40, 60, 80, 95, 99):
        path.write_bytes(data[: len(data) * percent // 100])
        with pytest.raises(VideoError, match=r"cut\."):
            read_all(path)


@pytest.mark.parametrize("kind", [b"XMP_", b"\xa9abc", b"free"])
def test_a_file_with_a_box_of_any_kind_before_its_headers_is_not_called_truncated(kind: bytes, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", FRAMES)
    data = path.read_bytes()
    moov = data.index(b"moov") - 4
    path.write_bytes(data[:moov] + (16).to_bytes(4, "big") + kind + bytes(8) + data[moov:])
    assert read_all(path) == len(FRAMES)


def test_a_header_that_says_less_than_nothing_is_not_believed(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", FRAMES)
    data = bytearray(path.read_bytes())
    place = data.index(b"\x44\x89\x88") + 3  # the duration, a number of 8 bytes
    data[place : place + 8] = struct.pack(">d", -5000.0)
    path.write_bytes(data)
    with VideoReader(path) as reader:
        assert (reader.metadata.num_frames, reader.metadata.duration_seconds) == (0, None)
        assert len(reader) == len(FRAMES)


@pytest.mark.parametrize("suffix", [".ts", ".mpg"])
def test_a_cut_stream_gives_the_frames_that_are_there(suffix: str, tmp_path: Path) -> None:
    codec = "mpeg2video" if suffix == ".mpg" else "libx264"
    whole = write_clip(tmp_path / f"whole{suffix}", FRAMES, codec=codec, options={"g": "10", "bf": "0"})
    expected = decode_from_start(whole)
    path = tmp_path / f"cut{suffix}"
    counts = []
    for percent in (40, 60, 80, 100):
        path.write_bytes(whole.read_bytes()[: whole.stat().st_size * percent // 100])
        with VideoReader(path) as reader:
            # The last one may have lost its end.
            num_whole = len(reader) - (percent < 100)
            assert torch.equal(reader.frames_at(range(num_whole)), expected[:num_whole])
            counts.append(num_whole)
    assert counts == sorted(set(counts))
    assert counts[0] > 0
    assert counts[-1] == len(FRAMES)


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".ts"])
@pytest.mark.timeout(60)
def test_flipped_bytes_end_in_frames_or_in_a_video_error(suffix: str, tmp_path: Path) -> None:
    data = write_clip(tmp_path / f"whole{suffix}", FRAMES, options={"g": "10"}).read_bytes()
    path = tmp_path / f"broken{suffix}"
    for seed in range(25):
        dice = random.Random(seed)
        broken = bytearray(data)
        for _ in range(10):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        path.write_bytes(broken)
        try:
            assert read_all(path) > 0
        except VideoError as error:
            assert error.source == str(path)  # noqa: PT017 - either end is right


def damaged_at_20(folder: Path, suffix: str) -> tuple[Path, torch.Tensor]:
    """A clip of which a part of frame 20, a keyframe, is overwritten; and the frames that were."""
    options = {"g": "10", "keyint_min": "10", "sc_threshold": "0", "bf": "0"}
    path = write_clip(folder / f"clip{suffix}", FRAMES, options=options)
    with av.open(str(path)) as container:
        packet = [bytes(packet) for packet in container.demux(video=0)][20]
    expected = decode_from_start(path)
    middle = packet[len(packet) // 2 :][:40]
    data = path.read_bytes()
    assert data.count(middle) == 1
    path.write_bytes(data.replace(middle, random.Random(0).randbytes(len(middle))))
    return path, expected


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_frames_that_lean_on_a_damaged_one_are_refused_with_it(suffix: str, tmp_path: Path) -> None:
    path, expected = damaged_at_20(tmp_path, suffix)
    with VideoReader(path) as reader:
        assert torch.equal(reader.frames_at([0, 19, 35]), expected[[0, 19, 35]])
        for number in (20, 25, 20, 26):
            with pytest.raises(VideoError, match=r"frame 20 is damaged|decoding fails near 0\.67 s"):
                reader.frames_at([number])
        assert torch.equal(reader.frames_at([0, 19]), expected[[0, 19]])
        batches = reader.batches(20)
        assert torch.equal(next(batches), expected[:20])
        with pytest.raises(VideoError, match=r"frame 20 is damaged|decoding fails near 0\.67 s"):
            next(batches)


def test_damage_in_the_middle_is_an_error_and_not_other_frames(shared_data: Path) -> None:
    with VideoReader(shared_data / "hostile" / "corrupted.mp4") as reader:
        assert reader.frames_at([0, 20]).shape[0] == 2
        with pytest.raises(VideoError, match="decoding fails near"):
            reader.frames_at([40])
        with pytest.raises(VideoError, match="decoding fails near"):
            list(reader.batches())


def test_an_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(VideoError("a.mp4", "the file is empty", "copy it again")))
    assert (error.source, error.reason, error.remedy) == ("a.mp4", "the file is empty", "copy it again")
    assert str(error) == "a.mp4: the file is empty; copy it again"


class Flaky:
    """Fails a number of times, then works."""

    def __init__(self, num_failures: int, error: Exception) -> None:
        self.num_failures = num_failures
        self.error = error
        self.num_calls = 0

    def __call__(self) -> str:
        self.num_calls += 1
        if self.num_calls <= self.num_failures:
            raise self.error
        return "frames"


BROKEN = VideoError("b.mp4", "the file is empty")


def test_raise_lets_the_first_error_out() -> None:
    with pytest.raises(VideoError, match=r"b\.mp4"):
        ErrorPolicy("raise").attempt(Flaky(1, BROKEN), "b.mp4")


def test_skip_counts_and_lists_what_it_left_out() -> None:
    policy = ErrorPolicy("skip")
    assert policy.attempt(Flaky(0, BROKEN), "a.mp4") == "frames"
    assert policy.report() == "no video was skipped"
    assert policy.attempt(Flaky(1, BROKEN), "b.mp4") is None
    assert policy.num_skipped == 1
    assert policy.skipped == [("b.mp4", "the file is empty")]
    assert policy.report() == "1 video was skipped:\n  b.mp4: the file is empty"


def test_what_has_no_name_is_noted_by_that_of_the_error() -> None:
    policy = ErrorPolicy("skip")
    for source in (b"not a video", torch.zeros(2)):
        policy.attempt(Flaky(1, VideoError("<11 bytes>", "this is not a video")), source)
    policy.attempt(Flaky(1, BROKEN), Path("b.mp4"))
    assert policy.skipped == [("<11 bytes>", "this is not a video")] * 2 + [("b.mp4", "the file is empty")]


@pytest.mark.parametrize("error", [BROKEN, OSError("stale file handle")])
def test_retry_tries_again_and_then_raises(error: Exception) -> None:
    policy = ErrorPolicy.parse("retry(2)")
    assert policy.attempt(Flaky(2, error), "b.mp4") == "frames"
    hopeless = Flaky(9, error)
    with pytest.raises(type(error)):
        policy.attempt(hopeless, "b.mp4")
    assert hopeless.num_calls == 3


def test_only_the_fault_of_the_video_is_forgiven() -> None:
    with pytest.raises(ZeroDivisionError):
        ErrorPolicy("skip").attempt(Flaky(1, ZeroDivisionError()), "b.mp4")
    with pytest.raises(OSError, match="full"):
        ErrorPolicy("skip").attempt(Flaky(1, OSError("the disk is full")), "b.mp4")


@pytest.mark.parametrize("text", ["raise", "skip", "retry(3)", "retry(12)"])
def test_policies_are_read_and_written(text: str) -> None:
    assert str(ErrorPolicy.parse(text)) == text


@pytest.mark.parametrize("text", ["", "ignore", "retry(x)", "retry(0)", "skip(3)"])
def test_a_policy_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"policy|num_retries"):
        ErrorPolicy.parse(text)
