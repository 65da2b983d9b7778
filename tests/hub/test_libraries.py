"""transformers, datasets and the `hf` command, unmodified, against the real server."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from clips import moving_square, write_clip
from hub_server import serve_hub


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serve_hub(tmp_path_factory.mktemp("libraries")) as server:
        yield server


def run(server, *command, token=None, **environment):
    environment = server.make_environment(token or server.create_token()) | environment
    return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=200)


def test_transformers_and_datasets_push_and_load_by_name(server, tmp_path):
    write_clip(tmp_path / "clip.mp4", moving_square(num_frames=20, height=48, width=64))
    tables = tmp_path / "tables"
    tables.mkdir()
    for split, count in (("train", 30), ("test", 10)):
        rows = "".join(f"{index},{split}-{index}\n" for index in range(count))
        (tables / f"{split}.csv").write_text("number,name\n" + rows)
    session = Path(__file__).with_name("library_session.py")
    done = run(server, sys.executable, session, tables, tmp_path / "clip.mp4")
    assert done.returncode == 0, done.stderr[-3000:]
    steps = {step.pop("step"): step for step in map(json.loads, done.stdout.splitlines())}
    assert steps["model"]["same"]
    assert steps["model"]["num_shards"] > 1
    assert len(set(steps["info"]["counts"])) == 1
    assert steps["info"] == steps["info"] | {"architecture": "c3d", "task": "video-classification"}
    assert steps["data set"]["splits"] == {"train": 30, "test": 10}
    assert steps["data set"]["streamed"] == [{"number": 0, "name": "train-0"}, {"number": 1, "name": "train-1"}]
    assert steps["pushed"]["rows"] == {"number": [0, 1], "name": ["train-0", "train-1"]}


def test_the_hf_command_works(server, tmp_path):
    token, hf = server.create_token(), str(Path(sys.executable).with_name("hf"))
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "a.txt").write_text("one")
    (tmp_path / "up" / "b.bin").write_bytes(bytes(range(256)) * 100)
    commands = [
        (hf, "auth", "whoami"),
        (hf, "repos", "create", "lab/by-command", "--private"),
        (hf, "upload", "lab/by-command", tmp_path / "up", "."),
        (hf, "upload", "lab/by-command", tmp_path / "up" / "a.txt", "again.txt"),
        (hf, "download", "lab/by-command", "--local-dir", tmp_path / "down"),
        (hf, "models", "ls", "--author", "lab", "--search", "by-command", "--quiet"),
        (hf, "repos", "tag", "create", "lab/by-command", "v1"),
        (hf, "repos", "delete", "lab/by-command", "--yes"),
    ]
    printed = {}
    for command in commands:
        done = run(server, *command, token=token)
        assert done.returncode == 0, [command, done.stdout[-500:], done.stderr[-2000:]]
        printed[command[1:3]] = done.stdout
    assert "lab" in printed["auth", "whoami"]
    assert "lab/by-command" in printed["models", "ls"]
    names = sorted(path.name for path in (tmp_path / "down").iterdir() if path.is_file())
    assert names == ["a.txt", "again.txt", "b.bin"]
    assert (tmp_path / "down" / "b.bin").read_bytes() == (tmp_path / "up" / "b.bin").read_bytes()
