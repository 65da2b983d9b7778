"""A file of foreign weights becomes a checkpoint folder."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch

from muybridge.cards import CardFacts, Number, write_card
from muybridge.checkpoints import refuse_existing, save_checkpoint
from muybridge.conversion.converter import convert, get_source
from muybridge.conversion.errors import ConversionError
from muybridge.conversion.reading import read_weights
from muybridge.conversion.recipe import Recipe
from muybridge.conversion.sources import Source
from muybridge.models.base import NetworkForClassification
from muybridge.models.inspection import make_random_inputs
from muybridge.models.registry import Paper

ROUNDING = 1e-5


def convert_file(
    source: str,
    weights: str | Path,
    folder: str | Path,
    *,
    labels: Sequence[str] | None = None,
    verify: bool = False,
) -> Path:
    """Writes the checkpoint of `weights` to `folder`. `verify` loads it again first and compares every output."""
    known = get_source(source)
    refuse_existing(Path(folder))
    read = read_weights(weights)
    try:
        model = convert(source, read.state_dict, labels=labels or read.labels, fields=read.fields)
    except ConversionError as error:
        raise ConversionError(f"{weights}: {error}") from error
    facts = make_card_facts(
        known,
        f"muybridge convert {source} {Path(weights).name} --output {Path(folder).name}",
        Path(folder).name,
        is_published=is_published(known, model, Path(weights)),
    )
    return save_checkpoint(
        folder,
        model,
        known.make_processor(model.config),
        write_card(model, facts),
        check=(lambda partial: verify_checkpoint(partial, model)) if verify else None,
    )


def is_published(source: Source, model: NetworkForClassification, weights: Path) -> bool:
    """Whether the file is the one that the recipe speaks of, as far as its sha256 and its labels tell."""
    if not source.is_published(model.config.num_labels):
        return False
    prefix = source.recipe.sha256_prefix
    with weights.open("rb") as file:
        return prefix is None or hashlib.file_digest(file, "sha256").hexdigest().startswith(prefix)


def make_card_facts(source: Source, command: str, name: str, *, is_published: bool) -> CardFacts:
    """What is known of the published weights; of any others, only whose network they are for."""
    recipe = source.recipe
    if not is_published:
        return CardFacts(
            title=f"The network of {source.name}",
            name=name,
            summary=f"Weights in the layout of {source.name}, converted tensor by tensor; what they were trained on is "
            "not known to the converter.",
            licence="unknown",
            command=command,
            papers=source.architecture.papers,
        )
    return CardFacts(
        title=recipe.title,
        name=name,
        summary=f"The weights published as {recipe.file_name} at <{recipe.address}>, converted tensor by tensor.",
        licence=recipe.licence,
        command=recipe.command.strip(),
        papers=[make_paper(recipe)],
        datasets=recipe.datasets,
        numbers=make_numbers(recipe),
        citation=recipe.citation.strip(),
        sections={"Note": recipe.note},
    )


def make_paper(recipe: Recipe) -> Paper:
    paper = recipe.paper
    return Paper(paper["title"], ", ".join(paper["authors"]), paper["year"], paper["url"])


def make_numbers(recipe: Recipe) -> list[Number]:
    """The results that the publisher states, as shares of one."""
    return [
        Number(
            dataset=result["dataset"],
            split="",
            metric=result["metric"],
            value=round(result["value"] / 100, 6),
            protocol=result["protocol"],
            stated_in=result["where"],
        )
        for result in recipe.results
    ]


def verify_checkpoint(folder: Path, model: NetworkForClassification) -> None:
    """The checkpoint loaded again has the same bits, and gives the same finite logits for an input."""
    inputs = make_random_inputs(model, generator=torch.Generator().manual_seed(0))
    loaded = type(model).from_pretrained(folder).eval()
    with torch.inference_mode():
        logits, again = model.eval()(**inputs).logits, loaded(**inputs).logits
    if not logits.isfinite().all():
        raise ConversionError("the logits are not finite: the weights hold broken numbers")
    written = model.state_dict()
    different = [name for name, tensor in loaded.state_dict().items() if not torch.equal(tensor, written[name])]
    if different:
        raise ConversionError(f"the checkpoint does not read back as it was written: {', '.join(different)}")
    # The same bits at another address may be summed in another order: equal within rounding is all there is.
    if not torch.allclose(logits, again, rtol=ROUNDING, atol=ROUNDING * float(logits.abs().max())):
        raise ConversionError("the checkpoint gives other logits than the model it was written from")
