"""Videos are described, counted and sampled without torch, which takes longer to load than that does."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

import muybridge
from clips import decode_from_start, moving_square, write_clip
from muybridge.video import VideoError, describe_video

FRAMES = moving_square(num_frames=25, height=32, width=48)

PROGRAM = """
import json, sys, types
from dataclasses import asdict
package = types.ModuleType("muybridge")  # the package itself may import more than its folder of videos needs
package.__path__ = [sys.argv[1]]
sys.modules["muybridge"] = package
from muybridge.video import VideoError, VideoFile, describe_video, sample_dense, sample_segments
print(json.dumps([asdict(describe_video(path)) for path in sys.argv[2:]]))
with VideoFile(sys.argv[2]) as file:
    sample_dense(edges_seconds=file.edges_seconds, num_frames=4, fps=10, num_clips=3)
    sample_segments(total=len(file), num_segments=3)
loaded = {"torch", "transformers"} & set(sys.modules)
assert not loaded, loaded
"""


def test_describing_a_video_loads_neither_torch_nor_transformers(tmp_path: Path) -> None:
    """Also of one whose frames have to be decoded to be counted."""
    paths = [
        write_clip(tmp_path / "clip.mp4", FRAMES, fps=25),
        write_clip(tmp_path / "clip.webm", FRAMES, codec="libvpx", fps=25),
    ]
    folder = str(Path(muybridge.__file__).parent)
    command = [sys.executable, "-c", PROGRAM, folder, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.stderr
    assert json.loads(done.stdout) == [asdict(describe_video(path)) for path in paths]


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "libx264"), (".webm", "libvpx"), (".avi", "mpeg4")])
def test_what_is_said_of_a_video_is_counted(suffix: str, codec: str, tmp_path: Path) -> None:
    path = write_clip(tmp_path / f"clip{suffix}", FRAMES, codec=codec, fps=25)
    known = describe_video(path)
    assert (known.num_frames, known.is_num_frames_exact) == (len(decode_from_start(path)), True)
    assert (known.height, known.width) == (32, 48)
    assert known.duration_seconds == pytest.approx(1.0, abs=0.01)


def test_a_file_that_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("this is no video")
    with pytest.raises(VideoError, match=r"text\.mp4: this is not a video"):
        describe_video(tmp_path / "text.mp4")


def test_every_name_of_the_station_is_there_and_no_other() -> None:
    import muybridge.video as station

    assert set(station.__all__) <= set(dir(station))
    assert all(getattr(station, name) is not None for name in station.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        station.no_such_name  # noqa: B018
