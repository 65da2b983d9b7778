"""Random access gives exactly the frames of decoding from the start, whatever the file is like."""

import random
import struct
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch

from clips import decode_from_start, moving_square, write_clip
from muybridge.video import VideoReader
from muybridge.video.decoder import Decoder
from muybridge.video.index import ONE_PACKET_ONE_FRAME, FrameIndex, index_by_packets
from muybridge.video.random_access import FrameFinder, IndexMismatchError
from muybridge.video.source import make_source

FRAMES = moving_square(num_frames=70, height=48, width=64)
NUM_SINGLE = 30
SHORT_GROUPS = {"g": "12", "bf": "3", "b-pyramid": "normal"}

Write = Callable[[Path], Path]


def x264(options: dict[str, str], suffix: str = ".mp4", **others: object) -> Write:
    return lambda folder: write_clip(folder / f"clip{suffix}", FRAMES, options=options, **others)


def encoded(codec: str, suffix: str, frames: torch.Tensor = FRAMES, **others: object) -> Write:
    return lambda folder: write_clip(folder / f"clip{suffix}", frames, codec=codec, **others)


def variable_rate(suffix: str) -> Write:
    times = [0]
    for number in range(len(FRAMES) - 1):
        times.append(times[-1] + (10, 33, 100, 34)[number % 4])
    clock = Fraction(1, 1000)
    return lambda folder: write_clip(
        folder / f"clip{suffix}", FRAMES, options=SHORT_GROUPS, times=times, time_base=clock
    )


def shifted(suffix: str, first: int) -> Write:
    times = range(first, first + len(FRAMES))
    options = {"avoid_negative_ts": "disabled"} if suffix != ".ts" else {}
    return lambda folder: write_clip(
        folder / f"clip{suffix}", FRAMES, options=SHORT_GROUPS, times=times, container_options=options
    )


def lying_count(folder: Path) -> Path:
    """An AVI whose header promises 10 frames."""
    path = write_clip(folder / "clip.avi", FRAMES, codec="mjpeg", pix_fmt="yuvj420p")
    data = bytearray(path.read_bytes())
    main_header, stream_header = data.index(b"avih"), data.index(b"strh")
    data[main_header + 24 : main_header + 28] = (10).to_bytes(4, "little")
    data[stream_header + 40 : stream_header + 44] = (10).to_bytes(4, "little")
    path.write_bytes(data)
    return path


def edit_list(folder: Path) -> Path:
    """An MP4 that is cut between two keyframes: what lies before is in the file and is not displayed."""
    path = write_clip(folder / "clip.mp4", FRAMES, options={"g": "24", "bf": "3"})
    data = bytearray(path.read_bytes())
    place = data.index(b"elst")
    media_time = int.from_bytes(data[place + 16 : place + 20], "big")
    tick = 512  # of 1/15360 s, at 30 frames a second
    data[place + 16 : place + 20] = (media_time + 31 * tick).to_bytes(4, "big")
    path.write_bytes(data)
    return path


def fragmented(folder: Path) -> Path:
    options = {"movflags": "frag_keyframe+empty_moov"}
    return write_clip(folder / "clip.mp4", FRAMES, options=SHORT_GROUPS, container_options=options)


def without_first_keyframe(folder: Path) -> Path:
    """A broadcast that somebody began to record in the middle."""
    path = write_clip(folder / "whole.ts", FRAMES, options={**SHORT_GROUPS, "x264-params": "repeat-headers=1"})
    data = path.read_bytes()
    start = 188 * (len(data) // 188 // 6)
    (folder / "clip.ts").write_bytes(data[: 2 * 188] + data[start:])
    return folder / "clip.ts"


CLIPS: dict[str, Write] = {
    "h264 with long groups": x264({"g": "250", "bf": "3"}),
    "h264 with short groups": x264(SHORT_GROUPS),
    "h264 with open groups": x264({**SHORT_GROUPS, "x264-params": "open-gop=1"}),
    "h264 with open groups in mkv": x264({**SHORT_GROUPS, "x264-params": "open-gop=1"}, ".mkv"),
    "h264 with open groups in ts": x264({**SHORT_GROUPS, "x264-params": "open-gop=1"}, ".ts"),
    "h264 with intra refresh": x264({"g": "12", "intra-refresh": "1"}),
    "h264 with intra refresh in mkv": x264({"g": "12", "intra-refresh": "1"}, ".mkv"),
    "h264 with intra refresh in ts": x264({"g": "12", "intra-refresh": "1"}, ".ts"),
    "h264 interlaced": x264({**SHORT_GROUPS, "x264-params": "interlaced=1"}),
    "h264 interlaced in ts": x264({**SHORT_GROUPS, "x264-params": "interlaced=1"}, ".ts"),
    "h264 zerolatency": x264({"tune": "zerolatency", "g": "20"}),
    "h264 in avi": x264(SHORT_GROUPS, ".avi"),
    "h264 in flv": x264(SHORT_GROUPS, ".flv"),
    "h264 in mkv": x264(SHORT_GROUPS, ".mkv"),
    "h264 in ts": x264(SHORT_GROUPS, ".ts"),
    "h264 without a container": x264(SHORT_GROUPS, ".h264"),
    "h264 of 10 bits": x264({"g": "12"}, pix_fmt="yuv420p10le"),
    "h264 4:4:4": x264({"g": "12"}, pix_fmt="yuv444p"),
    "h264 at 29.97": x264(SHORT_GROUPS, fps=Fraction(30000, 1001)),
    "h264 bt709": x264(SHORT_GROUPS, colour=(1, 1)),
    "h264 full range": x264(SHORT_GROUPS, colour=(5, 2)),
    "fragmented": fragmented,
    "variable rate in mp4": variable_rate(".mp4"),
    "variable rate in mkv": variable_rate(".mkv"),
    "late start in mp4": shifted(".mp4", 90),
    "late start in mkv": shifted(".mkv", 90),
    "late start in ts": shifted(".ts", 9000),
    "negative start in mp4": shifted(".mp4", -7),
    "negative start in mkv": shifted(".mkv", -7),
    "edit list": edit_list,
    "lying count": lying_count,
    "begun in the middle": without_first_keyframe,
    "hevc": encoded("libx265", ".mp4", options={"x265-params": "keyint=15:bframes=3:log-level=none"}),
    "hevc with open groups": encoded(
        "libx265", ".mkv", options={"x265-params": "keyint=15:bframes=4:open-gop=1:log-level=none"}
    ),
    "mpeg4 in avi": encoded("mpeg4", ".avi", options={"g": "12"}),
    "mpeg4 with B-frames in avi": encoded("mpeg4", ".avi", options={"g": "12", "bf": "2"}),
    "mpeg4 with B-frames in mp4": encoded("mpeg4", ".mp4", options={"g": "12", "bf": "2"}),
    "mpeg2 in mpg": encoded("mpeg2video", ".mpg", options={"g": "12", "bf": "2"}),
    "mpeg2 in ts": encoded("mpeg2video", ".ts", options={"g": "12", "bf": "2"}),
    "mpeg1 in mpg": encoded("mpeg1video", ".mpg", options={"g": "12", "bf": "2"}),
    "vp8": encoded(
        "libvpx", ".webm", options={"g": "15", "auto-alt-ref": "1", "lag-in-frames": "10", "deadline": "realtime"}
    ),
    "vp8 with hidden frames": encoded(
        "libvpx", ".webm", options={"auto-alt-ref": "1", "lag-in-frames": "16", "b": "200k"}
    ),
    "vp9": encoded("libvpx-vp9", ".webm", options={"g": "15", "deadline": "realtime", "cpu-used": "8"}),
    "vp9 with hidden frames": encoded(
        "libvpx-vp9", ".webm", options={"auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "5", "g": "30"}
    ),
    "vp9 with alpha": encoded("libvpx-vp9", ".webm", pix_fmt="yuva420p", options={"cpu-used": "8"}),
    "av1": encoded("libsvtav1", ".mp4", moving_square(num_frames=40, height=64, width=64), options={"preset": "12"}),
    "flv1": encoded("flv", ".flv", options={"g": "12"}),
    "mjpeg in avi": encoded("mjpeg", ".avi", pix_fmt="yuvj420p"),
    "mjpeg in mov": encoded("mjpeg", ".mov", pix_fmt="yuvj420p"),
    "ffv1 grey": encoded("ffv1", ".mkv", pix_fmt="gray"),
    "ffv1 of 10 bits": encoded("ffv1", ".mkv", pix_fmt="yuv422p10le"),
    "ffv1 of 16 bits grey": encoded("ffv1", ".mkv", pix_fmt="gray16le"),
    "ffv1 with alpha": encoded("ffv1", ".mkv", pix_fmt="yuva420p"),
    "png with alpha": encoded("png", ".mov", pix_fmt="rgba"),
    "raw": encoded("rawvideo", ".avi", pix_fmt="bgr24"),
    "gif": encoded("gif", ".gif", pix_fmt="rgb8"),
    "odd sizes": encoded("libx264", ".mp4", moving_square(num_frames=20, height=47, width=63), pix_fmt="yuv444p"),
    "odd sizes in vp9": encoded("libvpx-vp9", ".webm", moving_square(num_frames=20, height=47, width=63)),
    "one frame": encoded("libx264", ".mp4", FRAMES[:1]),
    "two frames": encoded("libx264", ".mp4", FRAMES[:2]),
    "a single image": encoded("png", ".png", FRAMES[:1], pix_fmt="rgb24", container_format="image2"),
}


def check_random_access(path: Path, expected: torch.Tensor, *, num_threads: int | None = None) -> None:
    """Compares every frame, bit for bit: singly in random order, some at a time, and in one pass."""
    numbers = list(range(len(expected)))
    piece = max(7, len(numbers) // 6)
    shuffled = random.Random(0).sample(numbers, len(numbers))
    with VideoReader(path, num_threads=num_threads) as reader:
        assert len(reader) == len(expected)
        assert reader.metadata.is_num_frames_exact
        assert (reader.metadata.height, reader.metadata.width) == expected.shape[-2:]
        for number in shuffled[:NUM_SINGLE]:
            assert torch.equal(reader.frames_at([number])[0], expected[number]), f"frame {number}"
        for start in range(0, len(numbers), piece):
            some = shuffled[start : start + piece]
            assert torch.equal(reader.frames_at(some), expected[some]), f"frames {some}"
        assert torch.equal(reader.frames_at(numbers), expected)
        assert torch.equal(torch.cat(list(reader.batches(16))), expected)


@pytest.mark.parametrize("name", CLIPS)
def test_random_access_equals_decoding_from_the_start(name: str, tmp_path: Path) -> None:
    path = CLIPS[name](tmp_path)
    check_random_access(path, decode_from_start(path))


@pytest.mark.parametrize("name", ["h264 with open groups in mkv", "vp9 with hidden frames", "hevc", "edit list"])
def test_frame_threads_give_the_same_frames(name: str, tmp_path: Path) -> None:
    path = CLIPS[name](tmp_path)
    check_random_access(path, decode_from_start(path), num_threads=3)


def test_codecs_are_called_as_their_decoders_are() -> None:
    assert not ONE_PACKET_ONE_FRAME - av.codecs_available


def test_flash_video_is_found_without_decoding_it_all(tmp_path: Path) -> None:
    with VideoReader(CLIPS["flv1"](tmp_path)) as reader:
        assert len(reader.index.keyframes) > 1


@pytest.mark.parametrize(("flags", "num_keyframes"), [(b"\xc4", 6), (b"\x84", 1)])
def test_an_open_group_is_a_start_where_it_recovers_exactly(flags: bytes, num_keyframes: int, tmp_path: Path) -> None:
    """x264 writes 0xC4: no frame until recovery, and exact; 0x84 says that frames only look alike from there on."""
    path = CLIPS["h264 with open groups in mkv"](tmp_path)
    message = b"\x06\x06\x01"
    data = path.read_bytes()
    assert message + b"\xc4" in data
    path.write_bytes(data.replace(message + b"\xc4", message + flags))
    with VideoReader(path) as reader:
        assert min(6, len(reader.index.keyframes)) == num_keyframes


def test_a_packet_that_the_index_does_not_know_is_a_mismatch(tmp_path: Path) -> None:
    with closing(Decoder(make_source(CLIPS["h264 with short groups"](tmp_path)))) as decoder:
        index = index_by_packets(decoder, is_interlaced=False)
        assert isinstance(index, FrameIndex)
        decoder.restart()
        finder = FrameFinder(decoder, index)
        list(finder.find([0]))
        assert decoder.last_packet_pts is not None
        del index.positions[decoder.last_packet_pts]
        with pytest.raises(IndexMismatchError):
            list(finder.find([60]))


@pytest.mark.parametrize("folder", ["clips", "hostile"])
def test_real_clips_are_exact(shared_data: Path, folder: str) -> None:
    paths = [path for path in sorted((shared_data / folder).iterdir()) if path.name != "corrupted.mp4"]
    for path in paths:
        check_random_access(path, decode_from_start(path))


def with_display_matrix(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """The MP4 with a display matrix (a, b, c, d): x' = a x + c y and y' = b x + d y."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (struct.pack(">i", value << 16) for value in matrix)
    zero, one = bytes(4), struct.pack(">i", 1 << 30)
    data[start : start + 36] = a + b + zero + c + d + zero + zero + zero + one
    path.write_bytes(data)
    return path


UPRIGHT = {
    "as it is": ((1, 0, 0, 1), lambda image: image),
    "turned clockwise": ((0, 1, -1, 0), lambda image: torch.rot90(image, -1, (-2, -1))),
    "turned half": ((-1, 0, 0, -1), lambda image: torch.rot90(image, 2, (-2, -1))),
    "turned counterclockwise": ((0, -1, 1, 0), lambda image: torch.rot90(image, 1, (-2, -1))),
    "mirrored": ((-1, 0, 0, 1), lambda image: image.flip(-1)),
    "upside down": ((1, 0, 0, -1), lambda image: image.flip(-2)),
    "transposed": ((0, 1, 1, 0), lambda image: image.transpose(-1, -2)),
    "mirrored and turned": ((0, -1, -1, 0), lambda image: image.transpose(-1, -2).flip(-1, -2)),
}


@pytest.mark.parametrize("name", UPRIGHT)
def test_frames_are_turned_as_the_display_matrix_says(name: str, tmp_path: Path) -> None:
    matrix, upright = UPRIGHT[name]
    path = write_clip(tmp_path / "clip.mp4", FRAMES[:5])
    stored = decode_from_start(path)
    with VideoReader(with_display_matrix(path, matrix)) as reader:
        expected = upright(stored)
        assert torch.equal(reader.frames_at(range(5)), expected)
        assert (reader.metadata.height, reader.metadata.width) == expected.shape[-2:]
        assert reader.frames_at([0], size=(20, 30)).shape[-2:] == (20, 30)


def test_four_recordings_of_a_keyboard_are_upright(shared_data: Path) -> None:
    for degrees in (0, 90, 180, 270):
        path = shared_data / "hostile" / f"video_{degrees}.mov"
        with VideoReader(path) as reader:
            assert (reader.metadata.height > reader.metadata.width) == (degrees in (90, 270))
            assert reader.metadata.rotation_degrees == -degrees % 360
            assert torch.equal(reader.frames_at([0]), decode_from_start(path)[:1])
