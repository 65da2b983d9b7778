"""A segment is the file that one would cut: its frames, their times, and everything that is known of it."""

import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from clips import cut_losslessly, decode_from_start, moving_square, write_clip
from muybridge.video import SegmentReader, VideoError, VideoReader, resample_frames

FRAMES = moving_square(num_frames=90, height=32, width=48)
UNEVEN = np.cumsum([0, *([10, 33, 100, 34] * 23)])[:90].tolist()  # milliseconds

SOURCES = {
    "30 frames a second": {"suffix": ".mp4", "fps": 30, "options": {"g": "12", "bf": "3"}},
    "29.97 frames a second": {"suffix": ".mp4", "fps": Fraction(30000, 1001), "options": {"g": "250"}},
    "25 frames a second in mkv": {"suffix": ".mkv", "fps": 25},
    "a variable rate": {"suffix": ".mp4", "times": UNEVEN, "time_base": Fraction(1, 1000), "options": {"g": "12"}},
    "a late start": {"suffix": ".mp4", "times": range(40, 130)},
}
SPANS = [(0.0, 0.5), (0.4, 1.7), (1.0, 2.0), (1.001, 1.999), (0.033, 2.567)]


@pytest.fixture(scope="module", params=SOURCES.values(), ids=SOURCES.keys())
def source(request, tmp_path_factory) -> Path:
    made = dict(request.param)
    return write_clip(tmp_path_factory.mktemp("source") / f"clip{made.pop('suffix')}", FRAMES, **made)


@pytest.mark.parametrize("span", SPANS)
def test_a_segment_equals_the_file_that_is_cut_out(source: Path, span: tuple[float, float], tmp_path: Path) -> None:
    cut = cut_losslessly(source, tmp_path / f"cut{source.suffix}", *span)
    with VideoReader(cut) as file, SegmentReader(source, start_seconds=span[0], end_seconds=span[1]) as segment:
        assert len(segment) == len(file)
        assert torch.equal(segment.frames_at(range(len(segment))), file.frames_at(range(len(file))))
        assert segment.frame_seconds == pytest.approx(file.frame_seconds, abs=1e-9)
        assert len(segment.index) == len(segment.edges_seconds) - 1 == len(file.index)
        ours, theirs = segment.metadata, file.metadata
        assert (ours.num_frames, ours.is_num_frames_exact) == (theirs.num_frames, True)
        assert (ours.height, ours.width, ours.rotation_degrees) == (theirs.height, theirs.width, 0)
        if (
            len(set(np.diff(file.frame_seconds).round(2))) == 1
        ):  # else a file does not tell how long its last frame stays
            assert segment.edges_seconds == pytest.approx(file.edges_seconds, abs=1e-9)
            assert ours.fps == pytest.approx(theirs.fps)
            assert ours.duration_seconds == pytest.approx(theirs.duration_seconds)


def test_every_way_to_read_gives_the_frames_of_the_segment(source: Path) -> None:
    whole = decode_from_start(source)
    with VideoReader(source) as reader:
        first, stop = np.searchsorted(reader.frame_seconds, [0.7 - 1e-4, 1.9 - 1e-4])
    expected = whole[first:stop]
    with SegmentReader(source, start_seconds=0.7, end_seconds=1.9) as reader:
        assert len(reader) == len(expected)
        assert torch.equal(torch.cat(list(reader.batches(7))), expected)
        assert torch.equal(torch.stack(list(reader)), expected)
        assert torch.equal(reader.frames_at([5, 0, -1, 5]), expected[[5, 0, -1, 5]])
        at_times = reader.frames_at_seconds(reader.frame_seconds[[3, 8]] + 1e-4)
        assert torch.equal(at_times, expected[[3, 8]])
        both = reader.frames_at_sizes({None: [2, 4], (16, 24): [4, 9]})
        assert torch.equal(both[None], expected[[2, 4]])
        assert torch.equal(both[16, 24], reader.frames_at([4, 9], size=(16, 24)))


@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [(".webm", "libvpx", {"auto-alt-ref": "1", "lag-in-frames": "16", "deadline": "realtime"}), (".avi", "mpeg4", {})],
)
def test_a_segment_of_a_file_whose_frames_are_counted_is_the_same(
    suffix: str, codec: str, options: dict[str, str], tmp_path: Path
) -> None:
    path = write_clip(tmp_path / f"clip{suffix}", FRAMES, codec=codec, options=options, fps=30)
    whole = decode_from_start(path)
    with SegmentReader(path, start_seconds=1.0, end_seconds=2.0) as reader:
        reader._index = reader._index_by_decoding("the test doubts it")
        assert len(reader) == 30
        assert torch.equal(reader.frames_at([3, 29, 0]), whole[[33, 59, 30]])


def test_where_frames_stay_long_a_segment_ends_with_its_time(tmp_path: Path) -> None:
    """Slides: the last one of the segment stays for 6.5 s, of which 1.5 s lie in it."""
    times = [0, 500, 1000, 3500, 10_000, 10_500]
    path = write_clip(tmp_path / "slides.mkv", FRAMES[:6], times=times, time_base=Fraction(1, 1000))
    with SegmentReader(path, start_seconds=0.4, end_seconds=5.0) as reader:
        assert reader.edges_seconds == pytest.approx([0, 0.5, 3.0, 4.5])
        assert reader.metadata.duration_seconds == pytest.approx(4.5)


def test_a_segment_ends_with_its_video_and_is_not_empty(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", FRAMES[:30], fps=10)
    with SegmentReader(path, start_seconds=2.8, end_seconds=100) as reader:
        assert len(reader) == 2
        assert reader.metadata.duration_seconds == pytest.approx(0.2)
    with SegmentReader(path, start_seconds=2.8) as reader:
        assert len(reader) == 2
    with pytest.raises(VideoError, match=r"no frame comes on display from 3 s to 4 s; the last one .* 2\.9 s"):
        SegmentReader(path, start_seconds=3, end_seconds=4)


def test_what_lies_outside_of_a_segment_is_not_in_it(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", FRAMES[:30], fps=10)
    with SegmentReader(path, start_seconds=0.5, end_seconds=1.0) as reader:
        with pytest.raises(IndexError, match="frame 5 is not in"):
            reader.frames_at([5])
        with pytest.raises(IndexError, match=r"0\.8 s is not in"):
            reader.frames_at_seconds([0.8])
        with pytest.raises(ValueError, match="batch_size is 0"):
            next(reader.batches(0))


def test_a_segment_can_go_to_another_process(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", FRAMES[:30], fps=10)
    with SegmentReader(path, start_seconds=1.0, end_seconds=2.0) as reader:
        copy = pickle.loads(pickle.dumps(reader))
    with copy:
        assert len(copy) == 10
        assert torch.equal(copy.frames_at([0]), decode_from_start(path)[[10]])


def test_two_seconds_of_a_real_clip_last_two_seconds(shared_data: Path, tmp_path: Path) -> None:
    """60 frames of 29.97 a second come on display in [2, 4) s, and the last one goes 2.002 s after the first came."""
    path = shared_data / "clips" / "WUzgd7C1pWA.mp4"
    cut = cut_losslessly(path, tmp_path / "cut.mp4", 2, 4)
    with SegmentReader(path, start_seconds=2, end_seconds=4) as segment, VideoReader(cut) as file:
        assert len(segment) == len(file) == 60
        assert torch.equal(segment.frames_at(range(60)), file.frames_at(range(60)))
        clip = resample_frames(edges_seconds=segment.edges_seconds, fps=5)
    assert clip.indices.tolist() == [int(Fraction(k, 5) * Fraction(30000, 1001)) for k in range(11)]
    assert clip.mask.all()
