"""The documents say what is true: their Python runs, their tables are up to date, their links and maps are complete."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from benchmarks.tables import MEASURED, TABLES, fill_tables

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
STATIONS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [README, CONTRIBUTING, *STATIONS, *sorted(ROOT.glob("*/README.md"))]

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


class Block(NamedTuple):
    """A block of code of a page: its language, the number of its first line from 0, and its lines."""

    language: str
    start: int
    lines: list[str]

    @property
    def path(self) -> str | None:
        """The file that the block is the content or a change of; None for code that is run."""
        match = re.fullmatch(r"(?:#|---) (src/\S+)", self.lines[0])
        return match and match[1]


def find_blocks(page: Path) -> Iterator[Block]:
    lines = page.read_text(encoding="utf-8").splitlines()
    fences = [number for number, line in enumerate(lines) if line.startswith("```")]
    for start, end in zip(fences[::2], fences[1::2], strict=True):
        yield Block(lines[start].removeprefix("```"), start + 1, lines[start + 1 : end])


def make_program(page: Path) -> str:
    """The Python of a page as one program, each line of which has the number that it has on the page."""
    lines: list[str] = []
    for block in find_blocks(page):
        if block.language == "python" and block.path is None:
            lines += [""] * (block.start - len(lines)) + block.lines
    return "\n".join(lines) + "\n"


# Code


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    """The folder in which a short `make demo` was run."""
    folder = tmp_path_factory.mktemp("documents")
    run(ROOT / "examples" / "demo.py", "--num-videos", "40", "--epochs", "1", folder=folder)
    return folder / "demo"


@pytest.fixture
def after_the_demo(demo: Path, tmp_path: Path) -> Path:
    """A folder of its own for a page, with what the demo leaves."""
    shutil.copytree(demo, tmp_path / "demo")
    return tmp_path


def run(*words: object, folder: Path, sources: Path = ROOT / "src") -> str:
    """What a program prints that finds the package in `sources`."""
    program = [sys.executable, *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(sources)}
    done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_page(page: Path, folder: Path, sources: Path = ROOT / "src") -> str:
    program = folder / f"{page.stem}.py"
    program.write_text(make_program(page), encoding="utf-8")
    return run(program, folder=folder, sources=sources)


@pytest.mark.parametrize(
    "page", [page for page in [README, *STATIONS] if make_program(page).strip()], ids=lambda page: page.stem
)
def test_the_python_of_a_page_runs_from_top_to_bottom(page: Path, after_the_demo: Path):
    assert run_page(page, after_the_demo)


@pytest.fixture(scope="module")
def extended_sources(tmp_path_factory) -> Path:
    """The package with all that CONTRIBUTING.md adds to it."""
    sources = tmp_path_factory.mktemp("extended") / "src"
    shutil.copytree(ROOT / "src" / "muybridge", sources / "muybridge", ignore=shutil.ignore_patterns("__pycache__"))
    for block in find_blocks(CONTRIBUTING):
        if block.path is not None:
            add(block, sources.parent / block.path)
    return sources


def add(block: Block, path: Path) -> None:
    """Writes the file that a block has, or changes the file that it is a difference of."""
    path.parent.mkdir(exist_ok=True)
    if block.language != "diff":
        assert not path.exists(), path
        path.write_text("\n".join(block.lines[1:]) + "\n", encoding="utf-8")
        return
    changes = block.lines[1:]
    old, new = ("".join(f"{line[1:]}\n" for line in changes if line[0] in marks) for marks in (" -", " +"))
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path} has not these lines once:\n{old}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_what_contributing_adds_works_as_printed(extended_sources: Path, after_the_demo: Path):
    assert run_page(CONTRIBUTING, after_the_demo, extended_sources)


# A file of video has no pulse, so transformers' pipeline cannot label one with a network that wants it.
@pytest.mark.parametrize(("name", "left_out"), [("frame_difference", "compile"), ("video_and_pulse", "pipeline")])
def test_an_architecture_that_contributing_adds_passes_the_conformance_suite(
    extended_sources: Path, name: str, left_out: str
):
    suite = ROOT / "tests" / "models" / "test_conformance.py"
    words = ("-m", "pytest", "-p", "no:cacheprovider", suite, "-k", f"{name} and not compile and not {left_out}")
    assert " passed" in run(*words, folder=ROOT, sources=extended_sources)


# Tables


@each_page
def test_tables_are_up_to_date(page: Path):
    text = page.read_text(encoding="utf-8")
    assert fill_tables(text, ROOT) == text, "run `make tables`"


def test_every_table_and_every_result_is_shown_once():
    shown = [name for page in PAGES for name in re.findall(r"<!-- table: (\w+) -->", page.read_text(encoding="utf-8"))]
    assert sorted(shown) == sorted([*TABLES, *MEASURED])
    results = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("*/results/*.json")]
    assert sorted(results) == sorted(place for place, _ in MEASURED.values())


# Links and the map


def find_links(page: Path) -> list[str]:
    return re.findall(r"\]\((?!http)([^)\s]+)\)", page.read_text(encoding="utf-8"))


def find_anchors(page: Path) -> set[str]:
    """The anchors that forges give to headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: Path):
    for link in find_links(page):
        place, _, anchor = link.partition("#")
        target = (page.parent / place) if place else page
        assert target.exists(), link
        assert not anchor or anchor in find_anchors(target), link


def test_the_readme_is_short_and_leads_to_every_page():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 160
    assert {f"docs/{page.name}" for page in STATIONS} <= set(find_links(README))


def test_the_map_names_every_folder_and_only_those_that_are_there():
    rows = README.read_text(encoding="utf-8").split("## Map\n")[1].splitlines()
    named = {match[1] for row in rows if (match := re.match(r"\| `([\w/]+)/`", row))}
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").replace("/", "").split()
    top = [path for path in ROOT.iterdir() if path.name not in ignored and path.name != "src"]
    folders = [*top, *(ROOT / "src").iterdir(), *(ROOT / "src" / "muybridge").iterdir()]
    there = {
        path.relative_to(ROOT).as_posix()
        for path in folders
        if path.is_dir() and not path.name.startswith((".", "__")) and not path.name.endswith(".egg-info")
    }
    assert named == there - {"src/muybridge"}


def test_every_extra_is_named_in_the_readme():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    text = README.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in extras)
