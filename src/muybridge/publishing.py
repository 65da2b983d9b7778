"""A checkpoint folder goes to the Hub, or to a hub of one's own: to whatever `HF_ENDPOINT` says.

What takes time is imported within the functions: the command asks for `REQUIREMENTS` before it publishes anything.
"""

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from muybridge.files import replace_text

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from muybridge.cards import Card

INDEX_FILES = ("config.json", "README.md")
PROCESSOR_FILES = ("video_preprocessor_config.json", "preprocessor_config.json")  # one of them: videos, or images


class PublishingError(ValueError):
    """A folder that should not be published as it is; the message says what it lacks and how to mend it."""


def publish(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    without: Collection[str] = (),
    message: str = "Publish a checkpoint",
) -> str:
    """Uploads the checkpoint and its card in one commit; gives the address of the commit.

    A folder that lacks its licence, the names of its labels or results is refused, unless `without` names what is
    missing on purpose. The card comes to show the name under which the model is now loaded.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.utils import validate_repo_id

    from muybridge.cards import write_usage

    folder = Path(folder)
    unknown = sorted(set(without) - set(REQUIREMENTS))
    if unknown:
        raise ValueError(f"without is {', '.join(unknown)}; what can be left out is {', '.join(REQUIREMENTS)}")
    validate_repo_id(repo_id)
    card = check_folder(folder, without)
    api = HfApi()
    repository = api.create_repo(repo_id, private=private, exist_ok=True)
    if private and not api.model_info(repository.repo_id).private:
        raise PublishingError(f"{repo_id} exists already, and everyone can read it; make it private there, or rename")
    card.sections["Use"] = write_usage(repository.repo_id, card.task)
    replace_text(folder / "README.md", str(card))
    commit = api.upload_folder(
        repo_id=repository.repo_id, folder_path=folder, commit_message=message, ignore_patterns=[".*", "**/.*"]
    )
    return str(commit.commit_url)


def check_folder(folder: Path, without: Collection[str] = ()) -> "Card":
    """The card of a checkpoint that is whole; what it lacks is all named at once."""
    from transformers import AutoConfig

    from muybridge.cards import Card

    missing = [name for name in INDEX_FILES if not (folder / name).is_file()]
    if not any((folder / name).is_file() for name in PROCESSOR_FILES):
        missing.append(" or ".join(PROCESSOR_FILES))
    weights = sorted(folder.glob("*.safetensors"))
    if missing or not weights:
        lacking = ", ".join(missing + ([] if weights else ["*.safetensors"]))
        raise PublishingError(f"{folder} is not a checkpoint folder: it has no {lacking}")
    for path in weights:
        check_weights(path)
    card, config = Card.parse((folder / "README.md").read_text(encoding="utf-8")), AutoConfig.from_pretrained(folder)
    reasons = {name: find(card, config) for name, find in REQUIREMENTS.items() if name not in without}
    problems = [f"{name}: {reason}" for name, reason in reasons.items() if reason]
    if problems:
        listed = "\n  ".join(problems)
        raise PublishingError(
            f"{folder} should not be published as it is:\n  {listed}\n"
            "Mend it, or say --without " + " ".join([*without, *(name for name, reason in reasons.items() if reason)])
        )
    return card


def check_weights(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            file.keys()
    except SafetensorError as error:
        raise PublishingError(f"{path} cannot be read: {error}; save the model again") from error


def find_licence_problem(card: "Card", _: "PretrainedConfig") -> str | None:
    if str(card.data.license).lower() in ("", "none", "unknown"):
        return "the card states none; write one after `license:` in README.md, or train with --licence"
    return None


def find_label_problem(_: "Card", config: "PretrainedConfig") -> str | None:
    unnamed = [label for label in config.id2label.values() if re.fullmatch(r"LABEL_\d+", label)]
    return f"{len(unnamed)} of {len(config.id2label)} are numbers, such as {unnamed[0]}; name them" if unnamed else None


def find_result_problem(card: "Card", _: "PretrainedConfig") -> str | None:
    from muybridge.cards import NO_RESULTS

    if card.numbers and card.sections.get("Results", NO_RESULTS) != NO_RESULTS:
        return None
    return "the card has none; `muybridge evaluate DATA --model … --card` measures some"


REQUIREMENTS: dict[str, "Callable[[Card, PretrainedConfig], str | None]"] = {
    "licence": find_licence_problem,
    "labels": find_label_problem,
    "results": find_result_problem,
}
