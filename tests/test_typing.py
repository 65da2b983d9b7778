"""What type checkers see of the package: a user's script is checked from outside, as an installed package is."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import muybridge

ROOT = Path(__file__).parent.parent
PARTS = [
    name
    for name in sorted(muybridge.__all__)
    if hasattr(importlib.import_module("muybridge"), name) and hasattr(getattr(muybridge, name), "__path__")
]

RIGHT = """
from pathlib import Path

import muybridge
from muybridge import ErrorPolicy, TrainingSettings, VideoReader, evaluate, load_videos, train
from muybridge.conversion import convert_file
from muybridge.data import VideoRecord, VideoRecords, check_videos
from muybridge.evaluation import Result, Scores, extract_features, fuse, probe
from muybridge.inference import map_ahead
from muybridge.models.c3d import C3DConfig

size: int = C3DConfig().fully_connected_size
settings = TrainingSettings(model="c3d", data=["clips"], output="run", epochs=3, flip=False)
model: Path = train(settings, resume=True)
records: VideoRecords = load_videos("clips", split="test")
result: Result = evaluate(model, records, "video-10x1")
result.save("results")
shares: dict[str, float | None] = result.metrics
fused: Scores = fuse([result.scores, result.scores], "weighted", weights=[1.0, 2.0])
features = extract_features(model, records)
print(probe(features, features, "svm", cost=1.0).metrics["video_hit_at_1"])
with VideoReader("clip.mp4") as reader:
    seconds: float | None = reader.metadata.duration_seconds
    count: int = len(reader)
policy: ErrorPolicy = ErrorPolicy("skip")
folder: Path = convert_file("torchvision/r3d_18", "weights.pth", "model", verify=True)
lengths: list[int] = list(map_ahead(len, ["one", "two"], 1))
print(muybridge.__version__.upper(), muybridge.data.load_videos, check_videos(records).num_clips)
record: VideoRecord = records[0]
"""

# Each line, and the kind of mistake that mypy finds in it.
WRONG = {
    'muybridge.TrainingSettings(model="c3d", data=["clips"], output="run", epochz=3)': "call-arg",
    'muybridge.TrainingSettings(model="c3d", data=["clips"], output="run", epochs="many")': "arg-type",
    'muybridge.train("settings.json")': "arg-type",
    'muybridge.load_videos("clips", spilt="test")': "call-arg",
    'muybridge.evaluate("model", "clips")': "arg-type",
    'muybridge.no_such_name("model")': "attr-defined",
    'muybridge.conversion.convert_file("torchvision/r3d_18", "weights.pth", out="model")': "call-arg",
    'muybridge.data.load_videos(split=3, source="clips")': "arg-type",
    "muybridge.data.no_such_name": "attr-defined",
    'muybridge.evaluation.fuse("scores", method=1)': "arg-type",
    'muybridge.inference.map_ahead(len, ["one"], "two")': "arg-type",
    'muybridge.pipelines.VideoClassificationPipeline("model", fast="yes")': "arg-type",
    "muybridge.models.no_such_name": "attr-defined",
    "muybridge.models.vgg.VGGNet": "attr-defined",
    "muybridge.models.load_model()": "call-arg",
    "muybridge.processing.no_such_name": "attr-defined",
    'muybridge.training.TrainingSettings("c3d", "clips", "run")': "arg-type",
    "muybridge.types.Protocol(num_clip=3)": "call-arg",
    "muybridge.video.VideoReader()": "call-arg",
    'muybridge.video.VideoReader("clip.mp4").frames_at()': "call-arg",
}

# What is checked is this package; the libraries beneath it are left as they are, for the sake of time.
CONFIG = """
[mypy]
strict = true
[mypy-accelerate.*,datasets.*,sklearn.*,torch.*,transformers.*]
follow_imports = skip
"""


def check_types(folder: Path, program: str) -> list[str]:
    """What `mypy --strict` says of a script that stands outside, where the package is installed."""
    (folder / "mypy.ini").write_text(CONFIG)
    (folder / "script.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", folder / "cache", "script.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "MYPYPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr, done.stderr
    return done.stdout.splitlines()[:-1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("typing")


def test_a_script_that_uses_the_package_rightly_passes(folder):
    assert check_types(folder, RIGHT) == []


def test_wrong_names_and_types_of_arguments_are_found(folder):
    lines = check_types(folder, "\n".join(["import muybridge, muybridge.models.vgg", *WRONG]))
    found = {int(line.split(":")[1]): line.rpartition("[")[2].rstrip("]") for line in lines if ": error: " in line}
    missed = {line: kind for number, (line, kind) in enumerate(WRONG.items(), 2) if found.get(number) != kind}
    assert missed == {}, "\n".join(lines)


def test_every_public_name_has_a_type(folder):
    names = [f"muybridge.{name}" for name in muybridge.__all__]
    names += [
        f"muybridge.{part}.{name}" for part in PARTS for name in importlib.import_module(f"muybridge.{part}").__all__
    ]
    imports = "".join(f"import muybridge.{part}\n" for part in PARTS)
    lines = check_types(folder, "import muybridge\n" + imports + "".join(f"reveal_type({name})\n" for name in names))
    types = [re.findall(r'Revealed type is "(.*)"', line) for line in lines]
    untyped = [name for name, found in zip(names, types, strict=True) if found in ([], ["Any"])]
    assert untyped == ["muybridge.AutoVideoProcessor"]  # of transformers, which is left out here


def test_names_stand_in_help_and_completion():
    for package in ("muybridge", *(f"muybridge.{part}" for part in PARTS)):
        module = importlib.import_module(package)
        assert set(module.__all__) <= set(dir(module)), package
        assert all(getattr(module, name) is not None for name in module.__all__), package
