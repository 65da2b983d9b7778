"""Each example runs, on made clips and for an epoch, as a user starts it."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoModelForVideoClassification
from transformers.models.auto.video_processing_auto import AutoVideoProcessor

from muybridge.data.sprites import write_sprites
from muybridge.models import ARCHITECTURES
from muybridge.objectives.networks import make_classifier
from muybridge.training import TrainingSettings
from training_runs import ENVIRONMENT

EXAMPLES = Path(__file__).parent.parent / "examples"
README = (EXAMPLES / "README.md").read_text(encoding="utf-8")


def run(name: str, *words: object) -> str:
    """What an example prints."""
    program = [sys.executable, EXAMPLES / name, *map(str, words)]
    done = subprocess.run(program, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("examples") / "videos"
    write_sprites(folder, num_clips=32, num_frames=8, size=32, show_progress=False)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """An untrained network of three classes that are not those of the videos."""
    folder = tmp_path_factory.mktemp("examples") / "checkpoint"
    architecture = ARCHITECTURES["video_resnet"]
    architecture.task_model(
        architecture.config(**architecture.tiny, num_frames=4, image_size=32, num_labels=3)
    ).save_pretrained(folder)
    square = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    architecture.processor(num_frames=4, sampling="uniform", fps=None, **square).save_pretrained(folder)
    return folder


def labels_of(model: Path) -> set[str]:
    return set(AutoModelForVideoClassification.from_pretrained(model).config.label2id)


def test_fine_tune_gives_a_checkpoint_with_the_videos_labels_and_its_results(videos, checkpoint, tmp_path):
    words = (videos, "--output", tmp_path, "--model", checkpoint, "--epochs", 2, "--no-flip", "--protocol", "clip")
    assert "video Hit@1" in run("fine_tune.py", *words)
    assert labels_of(tmp_path / "model") == {path.name for path in (videos / "train").iterdir()}
    assert json.loads((tmp_path / "results" / "results.json").read_text())["num_videos"] == 8


def test_the_trainer_gives_a_checkpoint_with_the_videos_labels_and_its_processor(videos, checkpoint, tmp_path):
    words = (videos, "--output", tmp_path, "--model", checkpoint, "--epochs", 1, "--num-clips", 2)
    assert re.search(r"eval_video_hit_at_1 += +[01]", run("fine_tune_with_trainer.py", *words))
    assert labels_of(tmp_path) == {path.name for path in (videos / "train").iterdir()}
    assert AutoVideoProcessor.from_pretrained(tmp_path).num_frames == 4


def test_where_no_checkpoint_is_named_both_begin_with_the_same_small_network(tmp_path):
    labels = ("left", "right")
    fields = runpy.run_path(str(EXAMPLES / "fine_tune.py"))["NEW_NETWORK"]
    settings = TrainingSettings(**fields, data=["videos"], output=str(tmp_path))
    ours, processor = make_classifier(settings, {"videos": labels})
    theirs, other_processor = runpy.run_path(str(EXAMPLES / "fine_tune_with_trainer.py"))["new_network"](labels)
    assert ours.config.to_dict() == theirs.config.to_dict()
    assert processor.to_dict() == other_processor.to_dict()
    assert ours.num_parameters() < 1e6


def test_classifiers_on_features_give_a_row_for_each_stage_and_one_for_the_model(videos, checkpoint):
    rows = run("linear_svm.py", videos, "--model", checkpoint, "--stages", 0, 1).splitlines()[2:]
    assert [row.split(",")[0] for row in rows] == ["| stage 0", "| stage 1", "| the classifier's"]
    assert all(len(re.findall(r"\d+\.\d%", row)) == 2 for row in rows)


def test_real_video_measures_every_way_on_both_sets_and_trains_nothing_twice(videos, tmp_path):
    words = (videos, videos, "--quick", "--num-seeds", 1, "--output", tmp_path)
    printed = run("real_video.py", *words)
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    for ways in results.values():
        assert list(ways) == ["from scratch", "pretrained on sprites", "single frames"]
    weights = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("model.safetensors")}
    assert run("real_video.py", *words).splitlines()[-5:] == printed.splitlines()[-5:]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("model.safetensors")} == weights


def test_the_comparison_measures_every_network_on_both_tasks_and_trains_nothing_twice(tmp_path, monkeypatch):
    table = run("compare_classics.py", "--quick", "--output", tmp_path).splitlines()[-13:]
    found = json.loads((tmp_path / "results.json").read_text())["results"]
    assert [line.split("  ")[0] for line in table[1:]] == list(found)
    assert {"single frame", "slow fusion", "LRCN", "R(2+1)D", "I3D"} <= set(found)
    for numbers in found.values():
        assert all(0 <= numbers[task]["hits"]["mean"] <= 1 for task in ("motion", "appearance"))
        assert numbers["parameters"] < 1e6
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()}
    monkeypatch.syspath_prepend(EXAMPLES)
    program = runpy.run_path(str(EXAMPLES / "compare_classics.py"))
    assert program["Study"](tmp_path, program["QUICK"], 1).results() == found
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()} == written


def test_the_readme_lists_every_example():
    for path in EXAMPLES.glob("*.py"):
        assert f"`{path.name}`" in README, path.name


def test_the_readme_has_the_numbers_of_the_study():
    results = json.loads((EXAMPLES / "results" / "real_video.json").read_text())["results"]
    for way in results["weizmann4"]:
        numbers = [ways[way]["video_hit_at_1"] for ways in results.values()]
        row = " | ".join([way, *(f"{number['mean']:.1%} ± {number['deviation']:.1%}" for number in numbers)])
        assert f"| {row} |" in README
