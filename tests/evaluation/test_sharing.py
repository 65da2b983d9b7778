"""Two processes are started once, and do all that is looked at here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import sharing_run

NUM_PROCESSES = 2


@pytest.fixture(scope="module")
def one_thread():
    """The order of a sum depends on the number of threads, and so does its last digit."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


@pytest.fixture(scope="module")
def alone(checkpoints, video_folder, tmp_path_factory, one_thread) -> Path:  # noqa: ARG001  # while it is made
    """What one process makes of everything."""
    folder = tmp_path_factory.mktemp("alone")
    sharing_run.share(folder, checkpoints[0], video_folder)
    return folder


@pytest.fixture(scope="module")
def together(checkpoints, video_folder, tmp_path_factory) -> list[Path]:
    """What each of two processes has of everything."""
    folder = tmp_path_factory.mktemp("together")
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={NUM_PROCESSES}"]
    words = [sharing_run.__file__, folder, checkpoints[0], video_folder]
    subprocess.run([*launcher, *map(str, words)], check=True, env=environment)
    return [folder / str(index) for index in range(NUM_PROCESSES)]


def load_outcomes(folder: Path, name: str):
    return torch.load(folder / "outcomes.pt")[name]


@pytest.mark.parametrize(("name", "num_videos"), [("none", 0), ("one", 1), ("iterator", 23), ("many", 40)])
def test_each_process_gets_all_outcomes_in_order_with_the_bits_of_one_process(alone, together, name, num_videos):
    expected = load_outcomes(alone, name)
    assert expected["positions"] == list(range(num_videos))
    assert [number for number, scores in enumerate(expected["scores"]) if scores is None] == list(
        range(3, num_videos, 7)
    )
    for folder in together:
        assert {**load_outcomes(folder, name), "num_loaded": num_videos} == expected


def test_what_is_skipped_is_listed_once_and_in_order_by_each_process(together):
    for folder in together:
        skipped = load_outcomes(folder, "many")["skipped"]
        assert skipped == [(f"{number}.mp4", "it is broken") for number in (3, 10, 17, 24, 31, 38)]


@pytest.mark.parametrize("name", ["iterator", "many"])
def test_every_video_is_read_by_one_process(alone, together, name):
    counts = [load_outcomes(folder, name)["num_loaded"] for folder in together]
    assert sum(counts) == load_outcomes(alone, name)["num_loaded"]
    assert max(counts) - min(counts) <= 3  # a batch


@pytest.mark.parametrize("name", ["records", "stream"])
def test_two_processes_give_the_file_of_one(alone, together, name):
    expected = (alone / "records.safetensors").read_bytes()
    assert (alone / f"{name}.safetensors").read_bytes() == expected
    for folder in together:
        assert (folder / f"{name}.safetensors").read_bytes() == expected
