"""The cards of published checkpoints, in model_cards/: read as the Hub reads them, and true to what they show."""

import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from muybridge.cards import Card, make_results_table
from muybridge.cli import COMMANDS
from muybridge.models import ARCHITECTURES
from muybridge.publishing import find_licence_problem, find_result_problem

FOLDER = Path(__file__).parent.parent / "model_cards"
CARDS = sorted(FOLDER.glob("*/README.md"))

pytestmark = pytest.mark.parametrize("path", CARDS, ids=[path.parent.name for path in CARDS])


def test_its_front_matter_is_what_the_hub_understands(path):
    data = ModelCard(path.read_text(encoding="utf-8")).data
    assert (data.library_name, data.pipeline_tag) == ("muybridge", "video-classification")
    assert set(data.tags) & set(ARCHITECTURES)
    assert data.datasets
    assert data.metrics
    assert all(0 <= result.metric_value <= 1 for result in data.eval_results)


def test_it_could_be_published(path):
    card = Card.parse(path.read_text(encoding="utf-8"))
    assert find_licence_problem(card, None) is None
    assert find_result_problem(card, None) is None


def test_every_number_says_how_it_was_measured_and_stands_in_the_table(path):
    card = Card.parse(path.read_text(encoding="utf-8"))
    assert all(re.search(r"\d+ clips? × \d+ crops?", number.protocol) for number in card.numbers)
    assert card.sections["Results"] == make_results_table(card.numbers)


def test_it_shows_what_a_reader_looks_for(path):
    card = Card.parse(path.read_text(encoding="utf-8"))
    for title in ("Use", "Intended use and limits", "Data", "Training", "Results", "Classes", "Made with", "Citation"):
        assert card.sections[title]
    command = re.search(r"^muybridge (\w+)", card.sections["Made with"], flags=re.MULTILINE)
    assert command is not None
    assert command.group(1) in COMMANDS
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", str(card)):
        assert (path.parent / picture).is_file()
