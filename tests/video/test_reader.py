"""What a reader promises besides exact frames: sources, sizes, colours, times, processes, memory."""

import io
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

from clips import FramesOf, decode_from_start, moving_square, write_clip
from muybridge.video import VideoError, VideoReader

FRAMES = moving_square(num_frames=40, height=48, width=64)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reader") / "clip: 50% of it.mp4"
    return write_clip(path, FRAMES, options={"g": "10", "bf": "2"})


@pytest.fixture(scope="module")
def expected(clip: Path) -> torch.Tensor:
    return decode_from_start(clip)


@pytest.fixture
def server(clip: Path) -> Iterator[str]:
    """A web server on this machine with the clip, an error, and an answer that breaks off."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = clip.read_bytes()
            self.send_response(404 if self.path == "/absent.mp4" else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: 1000 if self.path == "/broken.mp4" else None])

        def log_message(self, format: str, *args: object) -> None:
            """Keeps quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


class Pipe(io.RawIOBase):
    """A file object that cannot go back."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:
        return self._data.readinto(buffer)


SOURCES: dict[str, Callable[[Path], object]] = {
    "path": lambda path: path,
    "text": str,
    "bytes": Path.read_bytes,
    "file": lambda path: path.open("rb"),
    "memory": lambda path: io.BytesIO(path.read_bytes()),
    "pipe": lambda path: Pipe(path.read_bytes()),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_kind_of_source_gives_the_same_frames(kind: str, clip: Path, expected: torch.Tensor) -> None:
    with VideoReader(SOURCES[kind](clip)) as reader:
        assert torch.equal(reader.frames_at([30, 3]), expected[[30, 3]])
        assert torch.equal(torch.cat(list(reader.batches())), expected)


def test_an_address_is_downloaded(server: str, expected: torch.Tensor) -> None:
    with VideoReader(f"{server}/clip.mp4") as reader:
        assert torch.equal(reader.frames_at([30, 3]), expected[[30, 3]])
        again = pickle.loads(pickle.dumps(reader))
        assert torch.equal(again.frames_at([5]), expected[[5]])
        again.close()


@pytest.mark.parametrize(
    ("name", "reason"), [("absent.mp4", "the server answered 404"), ("broken.mp4", "ended after 1000 of")]
)
def test_a_failed_download_says_why(server: str, name: str, reason: str) -> None:
    with pytest.raises(VideoError, match=reason) as caught:
        VideoReader(f"{server}/{name}")
    assert caught.value.source == f"{server}/{name}"


def test_a_server_that_is_not_there_is_a_video_error() -> None:
    with pytest.raises(VideoError, match="the download failed"):
        VideoReader("http://127.0.0.1:9/clip.mp4")


def test_something_else_is_refused() -> None:
    with pytest.raises(TypeError, match="a path, bytes, a file object or an http"):
        VideoReader(5)


def test_metadata_becomes_exact_when_frames_are_counted(clip: Path) -> None:
    with VideoReader(clip) as reader:
        assert not reader.metadata.is_num_frames_exact
        assert len(reader) == 40
        metadata = reader.metadata
    assert metadata.is_num_frames_exact
    assert (metadata.num_frames, metadata.fps, metadata.codec) == (40, 30.0, "h264")
    assert metadata.duration_seconds == pytest.approx(40 / 30)
    assert reader.metadata == metadata  # also when it is closed


def test_indices_count_from_the_end_and_repeat(clip: Path, expected: torch.Tensor) -> None:
    with VideoReader(clip) as reader:
        assert torch.equal(reader.frames_at([-1, 5, 5, -40, 5]), expected[[39, 5, 5, 0, 5]])
        assert torch.equal(reader.frames_at(torch.tensor([7])), expected[[7]])
        assert reader.frames_at([]).shape == (0, 3, 48, 64)


@pytest.mark.parametrize("index", [40, -41, 1000])
def test_an_index_outside_names_itself_and_the_length(clip: Path, index: int) -> None:
    with VideoReader(clip) as reader, pytest.raises(IndexError, match=f"frame {index} is not in .*has 40 frames"):
        reader.frames_at([0, index])


def test_an_index_must_be_whole(clip: Path) -> None:
    with VideoReader(clip) as reader, pytest.raises(TypeError, match="whole numbers"):
        reader.frames_at([1.5])


def test_seconds_give_the_frame_on_display(clip: Path, expected: torch.Tensor) -> None:
    with VideoReader(clip) as reader:
        assert torch.equal(reader.frames_at_seconds([0, 0.02, 1 / 30, 0.1, 0.99 / 30]), expected[[0, 0, 1, 3, 0]])
        assert torch.equal(reader.frames_at_seconds([40 / 30]), expected[[39]])
        with pytest.raises(IndexError, match=r"2\.0 s is not in .*\[0, 1\.333\] s"):
            reader.frames_at_seconds([2.0])
        with pytest.raises(IndexError, match=r"-0\.1 s"):
            reader.frames_at_seconds([-0.1])


def test_seconds_count_from_the_first_frame_at_a_variable_rate(tmp_path: Path) -> None:
    times = [5000 + time for time in (0, 10, 50, 300, 310)]
    path = write_clip(tmp_path / "clip.mkv", FRAMES[:5], times=times, time_base=Fraction(1, 1000))
    with VideoReader(path) as reader:
        assert reader.frame_seconds.tolist() == pytest.approx([0, 0.010, 0.050, 0.300, 0.310])
        frames = reader.frames_at_seconds([0.0, 0.010, 0.049, 0.29, 0.3, 0.311])
    assert torch.equal(frames, decode_from_start(path)[[0, 1, 1, 2, 3, 4]])


@pytest.mark.parametrize(("size", "shape"), [(24, (24, 32)), (96, (96, 128)), ((30, 20), (30, 20)), (None, (48, 64))])
def test_size_is_the_shorter_side_or_both(clip: Path, size: object, shape: tuple[int, int]) -> None:
    with VideoReader(clip) as reader:
        assert reader.frames_at([0, 9], size=size).shape == (2, 3, *shape)
        assert next(reader.batches(5, size=size)).shape == (5, 3, *shape)


@pytest.mark.parametrize("size", [0, -3, (5, 0), (1, 2, 3)])
def test_a_size_that_cannot_be_is_refused(clip: Path, size: object) -> None:
    with VideoReader(clip) as reader, pytest.raises(ValueError, match=r"size is .*; it must be"):
        reader.frames_at([0], size=size)


def test_scaling_while_converting_is_an_antialiased_resize(tmp_path: Path) -> None:
    smooth = F.interpolate(torch.rand(1, 3, 6, 8) * 255, (240, 320), mode="bicubic").clamp(0, 255).byte()
    path = write_clip(tmp_path / "clip.mp4", smooth, options={"crf": "5"})
    with VideoReader(path) as reader:
        scaled = reader.frames_at([0], size=60).float()
        resized = F.interpolate(reader.frames_at([0]).float(), (60, 80), mode="bilinear", antialias=True)
    assert (scaled - resized).abs().mean() < 2


def test_batches_are_all_frames_in_order(clip: Path, expected: torch.Tensor) -> None:
    with VideoReader(clip) as reader:
        assert [len(batch) for batch in reader.batches(16)] == [16, 16, 8]
        assert torch.equal(torch.stack(list(reader)), expected)
        batches = reader.batches(8)
        next(batches)
        assert torch.equal(reader.frames_at([3]), expected[[3]])  # in between, without disturbing them
        assert torch.equal(next(batches), expected[8:16])
        with pytest.raises(ValueError, match="batch_size is 0"):
            next(reader.batches(0))


def test_grey_gives_three_equal_channels(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", FRAMES[:3], codec="ffv1", pix_fmt="gray")
    with VideoReader(path) as reader:
        red, green, blue = reader.frames_at([1])[0]
    assert torch.equal(red, green)
    assert torch.equal(green, blue)


def test_frames_that_change_size_keep_the_size_of_the_first(tmp_path: Path) -> None:
    options = {"x264-params": "repeat-headers=1"}
    small = write_clip(tmp_path / "small.ts", FRAMES[:10], options=options)
    large = write_clip(tmp_path / "large.ts", moving_square(num_frames=10, height=96, width=128), options=options)
    path = tmp_path / "both.ts"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    with VideoReader(path) as reader:
        frames = torch.cat(list(reader.batches(4)))
        assert torch.equal(reader.frames_at([len(frames) - 1, 3]), frames[[-1, 3]])
    assert torch.equal(frames[:10], decode_from_start(small))
    resized = F.interpolate(decode_from_start(large).float(), (48, 64), mode="bilinear", antialias=True)
    assert frames.shape == (20, 3, 48, 64)
    assert (frames[10:] - resized).abs().mean((1, 2, 3)).max() < 3


def test_a_closed_reader_says_so(clip: Path) -> None:
    reader = VideoReader(clip)
    reader.close()
    with pytest.raises(ValueError, match="is closed"):
        reader.frames_at([0])
    with pytest.raises(ValueError, match="is closed"):
        next(reader.batches())


@pytest.mark.parametrize(("start", "num_threads"), [("fork", None), ("fork", 2), ("spawn", None)])
def test_an_open_reader_works_in_data_loader_workers(
    start: str, num_threads: int | None, clip: Path, expected: torch.Tensor
) -> None:
    with VideoReader(clip, num_threads=num_threads) as reader:
        reader.frames_at([20])
        loader = DataLoader(
            FramesOf(reader), batch_size=8, num_workers=1 + (start == "fork"), multiprocessing_context=start
        )
        assert torch.equal(torch.cat(list(loader)), expected)
        assert torch.equal(reader.frames_at([39]), expected[[39]])


def test_a_forked_child_reads_a_download_and_leaves_the_parent_alone(server: str, expected: torch.Tensor) -> None:
    with VideoReader(f"{server}/clip.mp4", num_threads=2) as reader:
        reader.frames_at([10])
        wanted = expected[30].numpy().tobytes()
        child = os.fork()
        if child == 0:  # without arithmetic by torch, whose threads did not come along
            os._exit(0 if reader.frames_at([30]).numpy().tobytes() == wanted else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert torch.equal(reader.frames_at([31]), expected[[31]])


def test_a_pass_begun_before_a_fork_says_that_it_cannot_go_on(clip: Path) -> None:
    with VideoReader(clip, num_threads=2) as reader:
        batches = reader.batches(4)
        next(batches)
        child = os.fork()
        if child == 0:
            try:
                next(batches)
            except RuntimeError:
                os._exit(0)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert next(batches).shape == (4, 3, 48, 64)


def test_a_file_object_says_that_it_cannot_cross_processes(clip: Path) -> None:
    message = "a file object cannot go to another process; pass its path or bytes"
    with clip.open("rb") as file, VideoReader(file) as reader, pytest.raises(TypeError, match=message):
        pickle.dumps(reader)


def test_a_pickled_reader_of_bytes_reads_on(clip: Path, expected: torch.Tensor) -> None:
    with VideoReader(clip.read_bytes()) as reader:
        again = pickle.loads(pickle.dumps(reader))
        assert torch.equal(again.frames_at([12]), expected[[12]])


def test_two_thousand_openings_do_not_grow(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "tiny.mp4", FRAMES[:4, :, :16, :16])
    process = psutil.Process()

    def open_and_read(times: int) -> int:
        for _ in range(times):
            with VideoReader(path) as reader:
                reader.frames_at([2])
        return process.memory_info().rss

    before = open_and_read(200)
    files_before = process.num_fds()
    assert open_and_read(2000) - before < 8 * 2**20
    assert process.num_fds() == files_before


def test_frames_that_nobody_asked_for_are_not_kept(tmp_path: Path) -> None:
    """Reads 100 frames of 1280 × 720, 276 MB as RGB, in a process of its own."""
    still = moving_square(num_frames=1, height=720, width=1280).expand(100, -1, -1, -1)
    path = write_clip(tmp_path / "long.mp4", still, options={"preset": "ultrafast", "g": "100"})
    program = (
        "import resource, sys; from muybridge.video import VideoReader\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "before = peak()\n"
        "with VideoReader(sys.argv[1]) as reader:\n"
        "    frames = reader.frames_at([0, 50, 99], size=128)\n"
        "    for batch in reader.batches(8, size=128): pass\n"
        "print(peak() - before)"
    )
    grown = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert int(grown.stdout) < 120
