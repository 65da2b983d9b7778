"""Model cards: written with every checkpoint, read by people, parsed and checked by tests and the hub."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml
from transformers import PreTrainedModel

from muybridge.models import ARCHITECTURES
from muybridge.models.inspection import count_gmacs, count_parameters
from muybridge.models.registry import Paper

REQUIRED_FIELDS = ("library_name", "license", "pipeline_tag", "tags")


@dataclass(frozen=True)
class CardFacts:
    """What a card says beyond what the model itself tells."""

    title: str
    name: str
    summary: str
    licence: str
    command: str
    papers: Sequence[Paper]
    datasets: Sequence[str] = ()
    numbers: Sequence[str] = ()
    citation: str = ""
    sections: dict[str, str] = field(default_factory=dict)


def write_card(model: PreTrainedModel, facts: CardFacts) -> str:
    """The text of a checkpoint's README.md."""
    front_matter = {
        "library_name": "muybridge",
        "license": facts.licence,
        "pipeline_tag": "video-classification",
        "tags": ["video", "video-classification", model.config.model_type],
        "datasets": list(facts.datasets),
    }
    sections = {
        "Use": usage(facts.name),
        "Model": describe_model(model),
        **facts.sections,
        "Numbers": bullets(facts.numbers) or "None were measured for this checkpoint.",
        "Made with": f"```console\n{facts.command}\n```",
        "Papers": bullets([f"{paper.authors}: [{paper.title}]({paper.url}), {paper.year}." for paper in facts.papers]),
    }
    if facts.citation:
        sections["Citation"] = f"```bibtex\n{facts.citation}\n```"
    head = f"---\n{yaml.safe_dump(front_matter, sort_keys=False)}---\n\n# {facts.title}\n\n{facts.summary}\n"
    return head + "".join(f"\n## {title}\n\n{text}\n" for title, text in sections.items())


def usage(name: str) -> str:
    return (
        "```python\nimport muybridge\nfrom transformers import pipeline\n\n"
        f'classify = pipeline("video-classification", model="{name}")\nprint(classify("clip.mp4"))\n```'
    )


def describe_model(model: PreTrainedModel) -> str:
    config = model.config
    architecture = ARCHITECTURES[config.model_type]
    return bullets(
        [
            f"Architecture: {architecture.title} (`{config.model_type}`)",
            f"Parameters: {count_parameters(model) / 1e6:.1f} M",
            f"Multiply-accumulates: {count_gmacs(model):.1f} G a clip",
            f"Input: {config.num_frames} frames of {config.image_size}×{config.image_size}",
            f"Labels: {config.num_labels}",
            f"Protocol of its numbers: {config.get_protocol()}" if config.protocol else "Protocol: none is stated",
        ]
    )


def bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def parse_card(text: str) -> dict[str, Any]:
    """The front matter of a card."""
    if not text.startswith("---\n") or "\n---\n" not in text[4:]:
        raise ValueError("the card has no front matter between two lines of ---")
    front_matter = yaml.safe_load(text[4:].split("\n---\n", 1)[0])
    if not isinstance(front_matter, dict):
        raise ValueError(f"the card's front matter is a {type(front_matter).__name__}, not fields and values")
    missing = [name for name in REQUIRED_FIELDS if not front_matter.get(name)]
    if missing:
        raise ValueError(f"the card's front matter lacks {', '.join(missing)}")
    return front_matter
