"""Model cards: written with every checkpoint, given numbers when it is measured, read by people and by the Hub."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCardData
from transformers import PreTrainedModel

from muybridge.data.loading import name_data
from muybridge.files import replace_text
from muybridge.models.adapters import adapt
from muybridge.models.inputs import describe_shapes
from muybridge.models.inspection import count_gmacs, count_parameters
from muybridge.models.registry import TASKS, Paper, get_architecture
from muybridge.text import make_bullets, make_markdown_table
from muybridge.types import HEADLINES, SHARES, Protocol

REQUIRED_FIELDS = ("library_name", "license", "pipeline_tag", "tags")
NO_RESULTS = "None were measured for this checkpoint."

# What the Hub calls the kind of a number, where that is not its name.
METRIC_TYPES = {"clip Hit@1": "accuracy", "video Hit@1": "accuracy", "top-1": "accuracy"}


@dataclass(frozen=True)
class Number:
    """One result, a share of one: of which data, and how it was measured. `stated_in` where someone else did."""

    dataset: str
    split: str
    metric: str
    value: float
    protocol: str
    stated_in: str = ""

    def to_eval_result(self, task: str) -> EvalResult:
        how = {"protocol": self.protocol, **({"stated_in": self.stated_in} if self.stated_in else {})}
        return EvalResult(
            task_type=task,
            dataset_type=make_slug(self.dataset),
            dataset_name=self.dataset,
            dataset_split=self.split or None,
            metric_type=METRIC_TYPES.get(self.metric, make_slug(self.metric)),
            metric_name=self.metric,
            metric_value=self.value,
            metric_args=how,
        )

    @classmethod
    def of(cls, result: EvalResult) -> "Number":
        how = result.metric_args or {}
        name = result.metric_name or result.metric_type
        return cls(
            result.dataset_name, result.dataset_split or "", name, float(result.metric_value),
            how.get("protocol", "not stated"), how.get("stated_in", ""),
        )  # fmt: skip

    @property
    def place(self) -> tuple[str, str, str, str]:
        """What the numbers of one row of a table share."""
        return self.dataset, self.split, self.protocol, self.stated_in


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
    numbers: Sequence[Number] = ()
    citation: str = ""
    sections: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Card:
    """A checkpoint's README.md: fields for programs, a head, and sections by their titles."""

    data: ModelCardData
    head: str
    sections: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> "Card":
        fields = parse_card(text)
        body = text[4:].split("\n---\n", 1)[1]
        head, *parts = split_sections(body)
        titles_and_texts = [part.partition("\n") for part in parts]
        sections = {title.strip(): text.strip() for title, _, text in titles_and_texts}
        if len(sections) < len(parts):
            raise ValueError("two sections of the card have the same title; give each its own")
        return cls(ModelCardData(**fields), head.strip(), sections)

    def __str__(self) -> str:
        sections = "".join(f"\n## {title}\n\n{text}\n" for title, text in self.sections.items())
        return f"---\n{self.data.to_yaml()}\n---\n\n{self.head}\n{sections}"

    @property
    def task(self) -> str:
        return str(self.data.pipeline_tag)

    @property
    def numbers(self) -> list[Number]:
        return [Number.of(result) for result in self.data.eval_results or []]

    def add_numbers(self, numbers: Iterable[Number]) -> None:
        """Puts numbers on the card; one that was measured again in the same way takes the place of the earlier."""
        added = [number.to_eval_result(self.task) for number in numbers]
        merged = {make_key(result): result for result in (*(self.data.eval_results or []), *added)}
        if not merged:
            return
        self.data.eval_results = list(merged.values())
        self.data.model_name = self.data.model_name or self.head.partition("\n")[0].removeprefix("# ") or "a model"
        self.data.metrics = sorted({result.metric_type for result in self.data.eval_results})
        self.sections["Results"] = make_results_table(self.numbers)


def make_key(result: EvalResult) -> tuple[str, ...]:
    """What makes two results the same measurement."""
    number = Number.of(result)
    return *number.place, number.metric


def split_sections(body: str) -> list[str]:
    """What is before the first `## `, and each part that one begins; in a block of code it begins nothing."""
    parts, is_code = [""], False
    for line in body.splitlines(keepends=True):
        is_code ^= line.startswith("```")
        if line.startswith("## ") and not is_code:
            parts.append(line.removeprefix("## "))
        else:
            parts[-1] += line
    return parts


def write_card(model: PreTrainedModel, facts: CardFacts) -> str:
    """The text of a checkpoint's README.md."""
    task = get_architecture(model.config.model_type).get_task()
    data = ModelCardData(
        library_name="muybridge",
        license=facts.licence,
        pipeline_tag=task.name,
        tags=[task.thing, task.name, model.config.model_type],
        datasets=list(facts.datasets) or None,
    )
    sections = {
        "Use": write_usage(facts.name, task.name),
        "Intended use and limits": task.limits.format(task.thing),
        "Model": describe_model(model),
        **facts.sections,
        "Results": NO_RESULTS,
        "Made with": f"```console\n{facts.command}\n```",
        "Papers": make_bullets(
            [f"{paper.authors}: [{paper.title}]({paper.url}), {paper.year}." for paper in facts.papers]
        ),
        "Citation": "```bibtex\n" + (facts.citation or "\n".join(map(make_bibtex, facts.papers))) + "\n```",
    }
    card = Card(data, f"# {facts.title}\n\n{facts.summary}", sections)
    card.add_numbers(facts.numbers)
    return str(card)


def add_results_to_folder(folder: str | Path, results: Mapping[str, Any]) -> None:
    """Puts what `evaluate` found, as its results.json has it, on the card of a checkpoint folder."""
    path = Path(folder) / "README.md"
    replace_text(path, add_results(path.read_text(encoding="utf-8"), results))


def add_results(text: str, results: Mapping[str, Any]) -> str:
    """A card with results on it, whose classes take the place of earlier ones."""
    card = Card.parse(text)
    card.add_numbers(list_numbers(results))
    card.sections = insert_section(card.sections, "Classes", make_classes_table(results), after="Results")
    return str(card)


def insert_section(sections: Mapping[str, str], title: str, text: str, *, after: str) -> dict[str, str]:
    """The sections with one in its place, or behind all others where that place is not there."""
    order = [name for name in sections if name != title]
    order.insert(order.index(after) + 1 if after in order else len(order), title)
    return {name: text if name == title else sections[name] for name in order}


def list_numbers(results: Mapping[str, Any]) -> list[Number]:
    """The results that a card lists."""
    dataset = name_data(str(results.get("data") or "unnamed data"))
    how = f"{describe_protocol(results)}; {results['num_videos']} videos"
    if not results.get("unreadable_are_wrong", True):
        how += f", without {results['num_unreadable']} that could not be read"
    fold = results.get("fold", 1)
    split = str(results.get("split") or "") + (f", fold {fold}" if fold != 1 else "")
    return [
        Number(dataset, split, HEADLINES[name], round(value, 4), how)
        for name, value in results["metrics"].items()
        if name in SHARES and value is not None
    ]


def describe_protocol(results: Mapping[str, Any]) -> str:
    """One protocol, or those of the scores that were fused."""
    protocols = results["protocol"] if isinstance(results["protocol"], list) else [results["protocol"]]
    return "; ".join(dict.fromkeys(str(Protocol(**fields)) for fields in protocols))


def make_results_table(numbers: Sequence[Number]) -> str:
    """One row for the data, the split and the protocol; one column a metric."""
    metrics = list(dict.fromkeys(number.metric for number in numbers))
    rows: dict[tuple[str, str, str, str], dict[str, str]] = {}
    for number in numbers:
        dataset, split, protocol, stated_in = number.place
        how = protocol + (f"; stated in {stated_in}, not measured here" if stated_in else "")
        empty = {"data": f"{dataset} {split}".strip(), **dict.fromkeys(metrics, "–"), "how": how}
        rows.setdefault(number.place, empty)[number.metric] = f"{100 * number.value:.4g}%"
    return make_markdown_table(list(rows.values()))


def make_classes_table(results: Mapping[str, Any]) -> str:
    """How well each label is recognised, for the results added last."""
    rows = [
        {"label": row["label"], "videos": str(row["num_videos"]), **describe_recognition(row)}
        for row in results["classes"]
    ]
    return f"Under {describe_protocol(results)}.\n\n{make_markdown_table(rows)}"


def describe_recognition(row: Mapping[str, Any]) -> dict[str, str]:
    """How well a label is recognised; where a video may have several, how well videos with it are ranked."""
    if "accuracy" not in row:
        return {"average precision": format_share(row["average_precision"])}
    return {
        "recognised": format_share(row["accuracy"]),
        "most often taken for": f"{row['taken_for']} ({row['times']})" if row["taken_for"] else "",
    }


def format_share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def write_usage(name: str, task: str) -> str:
    """How a model is loaded and asked, as code."""
    verb, file = TASKS[task].verb, TASKS[task].file
    return (
        "```python\nimport muybridge\nfrom transformers import pipeline\n\n"
        f'{verb} = pipeline("{task}", model="{name}")\nprint({verb}("{file}"))\n```'
    )


def describe_model(model: PreTrainedModel) -> str:
    config = model.config
    architecture = get_architecture(config.model_type)
    facts = [
        f"Architecture: {architecture.title} (`{config.model_type}`)",
        f"Parameters: {count_parameters(model) / 1e6:.1f} M",
        f"Multiply-accumulates: {count_gmacs(model):.1f} G {architecture.get_task().unit}",
        f"Input: {describe_shapes(adapt(model).input_shapes())}",
        f"Labels: {config.num_labels}",
    ]
    if hasattr(config, "get_protocol"):
        facts.append(f"Protocol: {config.get_protocol()}" if config.protocol else "Protocol: none is stated")
    return make_bullets(facts)


def make_bibtex(paper: Paper) -> str:
    first = paper.authors.split(",")[0].split()[-1].lower()
    word = next(word for word in re.findall(r"\w+", paper.title.lower()) if len(word) > 3)
    authors = " and ".join(name.strip() for name in paper.authors.split(","))
    return (
        f"@misc{{{first}{paper.year}{word},\n  title = {{{paper.title}}},\n  author = {{{authors}}},\n"
        f"  year = {{{paper.year}}},\n  url = {{{paper.url}}},\n}}"
    )


def make_slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


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
