"""What plain use does not need is an extra: the rest works without it, and says in one line what to install."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from clips import moving_square, write_clip
from muybridge.extras import MissingExtraError, extra, find_missing
from training_runs import ENVIRONMENT

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
MODULES = sorted((ROOT / "src" / "muybridge").rglob("*.py"))

BLOCK = "import sys\nfor name in {blocked}: sys.modules[name] = None\n"
OPTIONAL = ("sklearn", "matplotlib", "tensorboard", "tensorboardX", "datasets", "h5py", "google_crc32c")
PLAIN_USE = """
from muybridge import TrainingSettings, evaluate, load_videos, train
from muybridge.models import ARCHITECTURES
from transformers import pipeline

model = train(TrainingSettings(
    model="c3d", data=["clips"], output="run", num_frames=4, image_size=32, batch_size=2, epochs=1, num_workers=0,
    model_fields=dict(ARCHITECTURES["c3d"].tiny),
))
evaluate(model, load_videos("clips", split="test"), "clip").save("results")
print(pipeline("video-classification", model=str(model))("clips/test/left/0.mp4")[0]["label"])
"""
MESSAGES = {
    "from muybridge.evaluation.probes import linear_svm; linear_svm()":
        "scikit-learn is not installed: pip install 'muybridge[probes]'",
    "import muybridge.evaluation.pictures": "matplotlib is not installed: pip install 'muybridge[plots]'",
    "import muybridge; muybridge.load_videos('hub:someone/something')":
        "datasets is not installed: pip install 'muybridge[datasets]'",
    "from muybridge.conversion.tensorflow import load_checksum; load_checksum()":
        "google-crc32c is not installed: pip install 'muybridge[convert]'",
    "import pathlib; from muybridge.conversion.keras_files import read_zip; read_zip(pathlib.Path('m.keras'), print)":
        "h5py is not installed: pip install 'muybridge[convert]'",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    for split in ("train", "test"):
        for label in ("left", "right"):
            place = folder / "clips" / split / label
            place.mkdir(parents=True)
            write_clip(place / "0.mp4", moving_square(num_frames=8, height=32, width=32))
    return folder


def run_without(blocked: tuple[str, ...], program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = BLOCK.format(blocked=blocked) + program
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


def test_training_evaluating_and_classifying_work_without_any_extra_and_say_what_they_leave_out(folder):
    done = run_without(OPTIONAL, PLAIN_USE, folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] in ("left", "right")
    said = done.stdout + done.stderr
    assert "no picture of the curves: matplotlib is not installed: pip install 'muybridge[plots]'" in said
    assert "nothing for TensorBoard: tensorboard is not installed: pip install 'muybridge[tensorboard]'" in said
    assert "the results in results have no pictures: matplotlib is not installed" in said
    assert "curves.png" not in (folder / "run" / "model" / "README.md").read_text()
    assert {path.name for path in (folder / "results").iterdir()} == {
        "scores.safetensors", "classes.csv", "confusion.csv", "results.json"
    }  # fmt: skip


def test_what_needs_an_extra_says_in_one_line_which(folder):
    program = "\n".join(
        f"try:\n    exec({statement!r})\nexcept ImportError as error:\n    print(error)" for statement in MESSAGES
    )
    done = run_without(OPTIONAL, program, folder)
    assert done.stdout.splitlines() == list(MESSAGES.values()), done.stderr


def test_the_command_says_so_too(folder):
    program = "from muybridge.cli import main; sys.exit(main(['check', 'hub:someone/something']))"
    done = run_without(("datasets",), program, folder)
    assert done.returncode == 2
    assert done.stderr == "muybridge check: datasets is not installed: pip install 'muybridge[datasets]'\n"


def test_a_library_that_is_there_is_not_missed():
    assert find_missing("torch", "plots") is None
    with extra("plots"):
        import torch  # noqa: F401


def test_an_error_within_a_library_is_not_taken_for_its_absence():
    with pytest.raises(ImportError, match="cannot import name 'nothing'") as raised, extra("plots"):
        from json import nothing  # type: ignore[attr-defined]  # noqa: F401
    assert not isinstance(raised.value, MissingExtraError)


# What is imported, and what is declared


def distributions_in(requirements: list[str]) -> set[str]:
    return {normalize(re.split(r"[\[<>=; ]", requirement)[0]) for requirement in requirements}


def normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def find_imports(node: ast.AST, within: str = "") -> Iterator[tuple[str, str]]:
    """Every library that is imported, with the extra whose `with extra(…)` it stands in, or none."""
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return
        case ast.With(items=[ast.withitem(ast.Call(func=ast.Name(id="extra"), args=[ast.Constant(value=str(name))]))]):
            within = name
        case ast.Import(names=names):
            yield from ((alias.name.partition(".")[0], within) for alias in names)
        case ast.ImportFrom(module=str(module)):
            yield module.partition(".")[0], within
    for child in ast.iter_child_nodes(node):
        yield from find_imports(child, within)


def test_every_library_that_is_imported_comes_with_the_package_or_with_the_extra_that_is_named():
    installed = packages_distributions()
    for path in MODULES:
        for library, name in find_imports(ast.parse(path.read_text(encoding="utf-8"))):
            if library in sys.stdlib_module_names or library == "muybridge":
                continue
            declared = distributions_in(EXTRAS[name] if name else PROJECT["dependencies"])
            assert {normalize(each) for each in installed[library]} & declared, f"{path}: {library}"


def test_what_tests_and_benchmarks_need_is_everything():
    brought = next(each for each in EXTRAS["dev"] if each.startswith("muybridge["))
    assert set(re.findall(r"[\w-]+", brought)) - {"muybridge"} | {"bench", "dev", "hub"} == set(EXTRAS)
