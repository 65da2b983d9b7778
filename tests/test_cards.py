import pytest
import yaml
from huggingface_hub import ModelCard

from muybridge.cards import CardFacts, parse_card, write_card
from muybridge.models import ARCHITECTURES


@pytest.fixture
def text() -> str:
    architecture = ARCHITECTURES["c3d"]
    model = architecture.classifier(architecture.tiny_config(protocol={"num_clips": 10, "num_crops": 3}))
    facts = CardFacts(
        title="A test: with a colon",
        name="my-model",
        summary="What it is.",
        licence="mit",
        command="muybridge convert …",
        papers=architecture.papers,
        datasets=["sports1m"],
        numbers=["61.1 % top-1"],
    )
    return write_card(model, facts)


def test_a_card_is_read_by_the_hubs_own_parser(text):
    card = ModelCard(text)
    card.data.to_dict()
    assert (card.data.license, card.data.pipeline_tag) == ("mit", "video-classification")
    assert "c3d" in card.data.tags


def test_a_card_says_what_the_model_is_and_how_its_numbers_were_measured(text):
    assert parse_card(text)["datasets"] == ["sports1m"]
    for words in (
        "4 frames of 32×32",
        "10 clips × 3 crops, mean of softmax",
        "61.1 % top-1",
        "arxiv.org/abs/1412.0767",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("front_matter", "message"),
    [
        (None, "no front matter"),
        ({"license": "mit"}, "lacks library_name, pipeline_tag, tags"),
        (["mit"], "is a list"),
    ],
)
def test_a_card_without_its_fields_is_refused(front_matter, message):
    text = "# Title" if front_matter is None else f"---\n{yaml.safe_dump(front_matter)}---\n# Title"
    with pytest.raises(ValueError, match=message):
        parse_card(text)
