"""What is built from the sources holds everything that the package reads, and runs from where it is unpacked."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ROOT / "src"
SOURCES = ("LICENSE", "README.md", "pyproject.toml", "src")
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"


def build(kind: str, sources: Path, folder: Path) -> Path:
    """A `build_sdist` or a `build_wheel` of the sources."""
    command = [sys.executable, "-c", BUILD, kind, str(folder)]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, unpacked: built of the source distribution, which is built of a copy of the sources."""
    folder = tmp_path_factory.mktemp("packaging")
    copy = folder / "sources"
    copy.mkdir()
    for name in SOURCES:
        path = ROOT / name
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(path, copy / name, symlinks=True, ignore=ignored) if path.is_dir() else shutil.copy(path, copy)
    with tarfile.open(build("build_sdist", copy, folder)) as archive:
        assert not [member.name for member in archive if member.issym() or member.islnk()]
        archive.extractall(folder / "sdist", filter="data")
    (unpacked,) = (folder / "sdist").iterdir()
    with zipfile.ZipFile(build("build_wheel", unpacked, folder)) as archive:
        archive.extractall(folder / "wheel")
    return folder / "wheel"


def files_in(folder: Path) -> set[str]:
    """Every file of the two packages."""
    found = (path for name in ("muybridge", "muybridge_hub") for path in (folder / name).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)) for path in found if "__pycache__" not in path.parts}


def test_every_module_recipe_list_of_labels_stub_and_page_is_in_the_wheel(wheel):
    expected = files_in(PACKAGES)
    for name in ("conversion/recipes/torchvision_r3d_18.toml", "data/labels/ucf101.txt", "py.typed", "__init__.pyi"):
        assert f"muybridge/{name}" in expected
    assert files_in(wheel) == expected


def test_no_link_stands_among_the_sources():
    assert [path for path in PACKAGES.rglob("*") if path.is_symlink()] == []


def test_the_command_runs_from_the_wheel(wheel, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "muybridge", "models", "--json"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(wheel)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    recipes = list((PACKAGES / "muybridge" / "conversion" / "recipes").glob("*.toml"))
    assert len(json.loads(done.stdout)["sources"]) == len(recipes) > 30
