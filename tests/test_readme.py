"""The README does what it says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.tables import fill_tables

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture(scope="module")
def after_the_demo(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    program = [sys.executable, ROOT / "examples" / "demo.py", "--num-videos", "40", "--epochs", "1"]
    done = subprocess.run(program, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_its_python_runs_as_printed(block, after_the_demo):
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=after_the_demo, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_its_tables_are_up_to_date():
    assert fill_tables(README, ROOT) == README, "run `make tables`"
    hub = (ROOT / "docs" / "hub.md").read_text(encoding="utf-8")
    assert fill_tables(hub, ROOT) == hub, "run `make tables`"
    tables = set(re.findall(r"<!-- table: (\w+) -->", README + hub))
    assert tables == {
        "architectures",
        "sources",
        *(path.stem for path in (ROOT / "benchmarks" / "results").glob("*.json")),
        *(path.stem for path in (ROOT / "examples" / "results").glob("*.json")),
    }


def test_its_map_names_what_there_is():
    for name in re.findall(r"^\| `([^`]+)`", README.split("## Map")[1], flags=re.MULTILINE):
        assert (ROOT / name).exists(), name


def test_the_files_it_links_to_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
