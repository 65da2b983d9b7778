import json
import subprocess
import sys
from pathlib import Path

import av
import pytest
import torch

from clips import write_clip
from muybridge.models import ARCHITECTURES

LIMIT_BYTES = 1.2e9
SECONDS, COPIES, FPS = 5, 120, 30

# Runs a command and prints the most memory that it ever held.
MEASURE = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024, file=sys.stderr)
sys.exit(status)
"""


@pytest.fixture(scope="module")
def ten_minutes(tmp_path_factory) -> Path:
    """Ten minutes of 1920×1080: a few seconds encoded once, their packets written again and again."""
    folder = tmp_path_factory.mktemp("long")
    frames = torch.zeros(SECONDS * FPS, 3, 1080, 1920, dtype=torch.uint8)
    for time, frame in enumerate(frames):
        frame[:, 200:800, 10 * time : 10 * time + 400] = torch.tensor([200, 150, 100], dtype=torch.uint8)[:, None, None]
    short = write_clip(folder / "short.mp4", frames, fps=FPS, options={"preset": "ultrafast"})
    path = folder / "long.mp4"
    with av.open(str(short)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.dts is not None]
        length = SECONDS * FPS * packets[0].duration
        for copy in range(COPIES):
            for packet in packets:
                moved = av.Packet(bytes(packet))
                moved.stream, moved.time_base = stream, packet.time_base
                moved.pts, moved.dts = packet.pts + copy * length, packet.dts + copy * length
                moved.duration, moved.is_keyframe = packet.duration, packet.is_keyframe
                target.mux(moved)
    return path


@pytest.fixture(scope="module")
def r3d_18(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "r3d_18"
    architecture = ARCHITECTURES["video_resnet"]
    architecture.task_model(architecture.config(num_labels=400)).save_pretrained(folder)
    architecture.processor().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("views", [["--num-clips", "1"], ["--num-clips", "10", "--num-crops", "3", "--fast"]])
def test_ten_minutes_of_1080p_are_classified_in_little_memory(ten_minutes, r3d_18, views):
    command = [str(Path(sys.executable).parent / "muybridge"), "classify", str(ten_minutes), "--model", str(r3d_18)]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *command, "--json", *views], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["labels"]) == 5
    assert int(done.stderr.split()[-1]) < LIMIT_BYTES
