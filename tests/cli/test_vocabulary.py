"""Every command speaks with the flags of the table in CONTRIBUTING.md, and has no other words for them."""

import argparse
import ast
import importlib
import re
from collections import Counter
from pathlib import Path

import pytest

from muybridge import cli
from muybridge.cli import COMMANDS

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Flags")[1].split("\n## ")[0]
ROWS = [row.split("|")[1:-1] for row in TABLE.splitlines() if row.startswith("| `--")]
VOCABULARY = {re.findall(r"`(--[\w-]+)", flag)[0]: re.findall(r"`--[\w-]+ (\w+)`", flag) for flag, _, _ in ROWS}
OTHER_WORDS = {word for _, _, others in ROWS for word in re.findall(r"`(--[\w-]+)`", others)}
HELP = {"-h", "--help"}

each_command = pytest.mark.parametrize("command", COMMANDS)


def actions_of(command: str) -> list[argparse.Action]:
    parser = argparse.ArgumentParser()
    importlib.import_module(f"muybridge.cli.{command.replace('-', '_')}").configure(parser)
    return parser._actions


def flags_of(command: str) -> dict[str, argparse.Action]:
    return {flag: action for action in actions_of(command) for flag in action.option_strings if flag not in HELP}


def test_the_table_is_read():
    assert {"--output", "--show", "--json", "--num-workers", "--batch-size", "--device"} <= set(VOCABULARY)
    assert {"--out", "--workers", "--jobs"} <= OTHER_WORDS
    assert not OTHER_WORDS & set(VOCABULARY)


@each_command
def test_no_flag_is_another_word_for_one_of_the_table(command: str):
    assert not OTHER_WORDS & set(flags_of(command))


@each_command
def test_every_flag_is_written_in_whole_words(command: str):
    assert all(re.fullmatch(r"--[a-z]+(-[a-z]+)*", flag) for flag in flags_of(command))


def test_what_several_commands_share_stands_in_the_table():
    counts = Counter(flag for command in COMMANDS for flag in flags_of(command))
    assert {flag for flag, count in counts.items() if count > 1} <= set(VOCABULARY)


@each_command
def test_flags_of_the_table_take_what_it_says(command: str):
    for flag, action in flags_of(command).items():
        if flag in VOCABULARY:
            assert (action.nargs != 0) == bool(VOCABULARY[flag]), flag
        if VOCABULARY.get(flag) == ["N"]:
            kind = action.type("3") if callable(action.type) else "3"
            assert kind == 3, flag


@each_command
def test_what_is_read_is_positional_and_what_is_written_is_not(command: str):
    positional = {action.dest for action in actions_of(command) if not action.option_strings}
    assert not positional & {"out", "output", "target", "destination"}
    assert not {"--data", "--input", "--clip", "--source"} & set(flags_of(command))


def test_shared_flags_are_declared_once():
    folder = Path(cli.__file__).parent
    declared = Counter(flag for path in folder.glob("*.py") for flag in find_declared(path))
    shared = find_declared(folder / "arguments.py")
    assert shared <= set(VOCABULARY)
    assert all(declared[flag] == 1 for flag in shared)


def find_declared(path: Path) -> set[str]:
    """The flags that a module writes out in `add_argument("--flag", …)`."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"]
    words = [argument.value for call in named for argument in call.args if isinstance(argument, ast.Constant)]
    return {word for word in words if word.startswith("--")}
