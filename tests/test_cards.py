import pytest
import yaml
from huggingface_hub import EvalResult, ModelCard

from muybridge.cards import Card, CardFacts, Number, add_results_to_folder, list_numbers, parse_card, write_card
from muybridge.models import ARCHITECTURES

NUMBER = Number("Sports-1M", "test", "video Hit@1", 0.611, "10 clips × 3 crops, mean of softmax; 500 videos")


@pytest.fixture
def text() -> str:
    architecture = ARCHITECTURES["c3d"]
    model = architecture.task_model(architecture.tiny_config(protocol={"num_clips": 10, "num_crops": 3}))
    facts = CardFacts(
        title="A test: with a colon",
        name="my-model",
        summary="What it is.",
        licence="mit",
        command="muybridge convert …",
        papers=architecture.papers,
        datasets=["sports1m"],
        numbers=[NUMBER],
        sections={"Data": "- one\n- two"},
    )
    return write_card(model, facts)


def results(accuracy: float, **changes) -> dict:
    """What results.json holds, as far as a card shows it."""
    return {
        "data": "/home/someone/clips", "split": "test", "protocol": {"num_clips": 10}, "num_videos": 40,
        "metrics": {"video_hit_at_1": accuracy, "video_hit_at_5": None, "negative_log_likelihood": 0.3},
        "classes": [
            {"label": "left", "num_videos": 40, "accuracy": accuracy, "taken_for": "right", "times": 3},
            {"label": "right", "num_videos": 0, "accuracy": None, "taken_for": "", "times": 0},
        ],
        **changes,
    }  # fmt: skip


def test_a_card_is_read_by_the_hubs_own_parser(text):
    card = ModelCard(text)
    assert (card.data.license, card.data.pipeline_tag) == ("mit", "video-classification")
    assert card.data.metrics == ["accuracy"]
    assert "c3d" in card.data.tags
    (result,) = card.data.eval_results
    assert (result.dataset_name, result.dataset_split, result.metric_value) == ("Sports-1M", "test", 0.611)
    assert result.metric_args == {"protocol": NUMBER.protocol}


def test_a_card_says_what_the_model_is_and_how_its_numbers_were_measured(text):
    assert parse_card(text)["datasets"] == ["sports1m"]
    for words in (
        "4 frames of 32×32",
        "10 clips × 3 crops, mean of softmax",
        "| Sports-1M test | 61.1% |",
        "arxiv.org/abs/1412.0767",
        "@misc{",
        "## Intended use and limits",
    ):
        assert words in text


def test_a_card_is_written_as_it_was_read(text):
    card = Card.parse(text)
    assert str(card) == text
    assert card.sections["Data"] == "- one\n- two"
    assert card.numbers == [NUMBER]


def test_results_are_added_and_a_second_measurement_takes_the_place_of_the_first(text, tmp_path):
    path = tmp_path / "README.md"
    path.write_text(text, encoding="utf-8")
    add_results_to_folder(tmp_path, results(0.5))
    add_results_to_folder(tmp_path, results(0.25))
    add_results_to_folder(tmp_path, results(0.75, protocol={"num_clips": 1}))
    card = Card.parse(path.read_text(encoding="utf-8"))
    assert [number.value for number in card.numbers] == [0.611, 0.25, 0.75]
    assert {number.dataset for number in card.numbers} == {"Sports-1M", "clips"}  # and no path of this machine
    assert "| clips test | 25% | 10 clips × 1 crop, mean of softmax; 40 videos |" in card.sections["Results"]
    assert "| left | 40 | 75.0% | right (3) |" in card.sections["Classes"]
    assert "Under 1 clip × 1 crop" in card.sections["Classes"]


def test_what_was_not_measured_is_no_number():
    assert [number.metric for number in list_numbers(results(0.5))] == ["video Hit@1"]


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


def test_a_title_within_code_begins_no_section_and_two_alike_are_refused(text):
    card = Card.parse(text)
    card.sections["Data"] = "```markdown\n## not a section\n```"
    assert Card.parse(str(card)).sections == card.sections
    with pytest.raises(ValueError, match="two sections of the card have the same title"):
        Card.parse(text + "\n## Data\n\nMore.\n")


def test_the_results_of_others_stay_as_they_are(text, tmp_path):
    card = Card.parse(text)
    theirs = {"task_type": "video-classification", "dataset_type": "someone/data", "dataset_name": "Data"}
    card.data.eval_results.append(EvalResult(**theirs, metric_type="wer", metric_value=0.5, dataset_revision="abc"))
    (tmp_path / "README.md").write_text(str(card), encoding="utf-8")
    add_results_to_folder(tmp_path, results(0.5))
    kept = ModelCard((tmp_path / "README.md").read_text(encoding="utf-8")).data.eval_results
    assert [(result.dataset_type, result.dataset_revision) for result in kept][1] == ("someone/data", "abc")


def test_folds_and_what_was_left_out_make_other_numbers(text, tmp_path):
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    for changes in ({}, {"fold": 2}, {"unreadable_are_wrong": False, "num_unreadable": 3}):
        add_results_to_folder(tmp_path, results(0.5, **changes))
    table = Card.parse((tmp_path / "README.md").read_text(encoding="utf-8")).sections["Results"]
    assert len(table.splitlines()) == 2 + 1 + 3
    assert "clips test, fold 2" in table
    assert "without 3 that could not be read" in table


def test_labels_stay_within_their_cells(text, tmp_path):
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    odd = results(0.5)
    odd["classes"][0]["label"] = "left|right"
    add_results_to_folder(tmp_path, odd)
    assert "| left\\|right | 40 |" in (tmp_path / "README.md").read_text(encoding="utf-8")
