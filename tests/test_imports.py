"""Imports go one way: the order of the parts stands in CONTRIBUTING.md, and every module keeps to it."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "src"
MODULES = {
    ".".join(path.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(SOURCES.rglob("*.py"))
}
OURS = [name for name in MODULES if name.split(".")[0] == "muybridge"]
TOP = ("muybridge", "muybridge.__main__")  # above all parts
VERSION = "muybridge.__version__"


def read_order() -> list[set[str]]:
    """The levels of the order, the highest first, each the names of its parts."""
    section = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Imports")[1].split("\n## ")[0]
    order = "".join(line for line in section.splitlines() if line.startswith("    "))
    return [set(re.findall(r"\w+", level)) for level in order.split("→")]


LEVELS = {part: number for number, level in enumerate(reversed(read_order())) for part in level}


def part_of(module: str) -> str:
    """The folder or module of the package that a module belongs to."""
    return module.split(".")[1]


@cache
def imported_by(module: str) -> frozenset[str]:
    """Every module that one imports anywhere in its text, also within functions; not for type checkers alone."""
    return frozenset(find_imports(ast.parse(MODULES[module].read_text(encoding="utf-8"))))


def find_imports(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
            children = iter(node.orelse)
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
            return
        case ast.ImportFrom(module=module, names=names, level=level):
            assert level == 0, "relative imports hide where a module comes from"
            for alias in names:
                name = f"{module}.{alias.name}"
                yield name if name in MODULES or module == "muybridge" else str(module)
            return
        case ast.Call(func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"), args=[first, *_]):
            yield from names_in(first)
            children = ast.iter_child_nodes(node)
        case _:
            children = ast.iter_child_nodes(node)
    for child in children:
        yield from find_imports(child)


def names_in(name: ast.expr) -> Iterator[str]:
    """The module that `import_module` is asked for: a constant, or what an f-string begins with."""
    match name:
        case ast.Constant(value=str(text)) | ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            yield text.rstrip(".")


def test_the_order_names_every_part_once():
    parts = {path.stem for path in (SOURCES / "muybridge").iterdir() if path.suffix == ".py" or path.is_dir()}
    named = [part for level in read_order() for part in level]
    assert len(named) == len(set(named))
    assert parts - {"__init__", "__main__", "__pycache__", "py"} <= set(named)


@pytest.mark.parametrize("module", [module for module in OURS if module not in TOP])
def test_a_module_imports_only_from_its_own_part_and_from_those_below(module: str):
    own = part_of(module)
    imported = {name for name in imported_by(module) if name.split(".")[0] == "muybridge"} - {VERSION}
    assert "muybridge" not in imported, "the public names are for users; inside, a name comes from where it is defined"
    parts = {part_of(name) for name in imported} - {own}
    assert parts <= set(LEVELS)
    assert {part for part in parts if LEVELS[part] >= LEVELS[own]} == set()


def test_no_two_modules_import_each_other_by_any_way_round():
    graph: Mapping[str, set[str]] = {
        module: {name for name in imported_by(module) if name in MODULES and name != module} for module in OURS
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names them


@pytest.mark.parametrize("module", MODULES)
def test_torchvision_is_imported_nowhere(module: str):
    assert "torchvision" not in {name.split(".")[0] for name in imported_by(module)}


@pytest.mark.parametrize("module", [module for module in MODULES if module not in OURS])
def test_the_hub_imports_neither_torch_nor_muybridge(module: str):
    assert {"torch", "muybridge", "transformers"} & {name.split(".")[0] for name in imported_by(module)} == set()


@pytest.mark.parametrize("module", OURS)
def test_the_library_does_not_import_the_hub(module: str):
    assert "muybridge_hub" not in {name.split(".")[0] for name in imported_by(module)}


def test_imports_are_found_wherever_they_stand():
    text = """
import a.b
if TYPE_CHECKING:
    import unseen
else:
    import c
def function():
    from d import e
    importlib.import_module(f"muybridge.f.{name}")
"""
    assert set(find_imports(ast.parse(text))) == {"a.b", "c", "d", "muybridge.f"}
