"""A file of foreign weights becomes a checkpoint folder."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForVideoClassification

from muybridge.cards import CardFacts, write_card
from muybridge.checkpoints import save_checkpoint
from muybridge.conversion.converter import convert, get_source
from muybridge.conversion.errors import ConversionError
from muybridge.conversion.sources import Source
from muybridge.conversion.weights import read_weights
from muybridge.models.base import VideoForClassification

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
    read = read_weights(weights)
    model = convert(source, read.state_dict, labels=labels or read.labels)
    processor = known.architecture.processor(**known.processor)
    command = f"muybridge convert {source} {Path(weights).name} {Path(folder).name}"
    return save_checkpoint(
        folder,
        model,
        processor,
        write_card(model, card_facts(known, command)),
        check=(lambda partial: verify_checkpoint(partial, model)) if verify else None,
    )


def card_facts(source: Source, command: str) -> CardFacts:
    return CardFacts(
        title=source.name,
        summary=f"Weights of [{source.name}]({source.homepage}), converted tensor by tensor.",
        licence=source.licence,
        command=command,
        papers=source.architecture.papers,
        datasets=source.datasets,
        numbers=source.numbers,
    )


def verify_checkpoint(folder: Path, model: VideoForClassification) -> None:
    """The checkpoint loaded again has the same bits, and gives the same finite logits for a clip."""
    config = model.config
    shape = (1, config.num_frames, config.num_channels, config.image_size, config.image_size)
    clip = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    loaded = AutoModelForVideoClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        logits, again = model.eval()(clip).logits, loaded(clip).logits
    if not logits.isfinite().all():
        raise ConversionError("the logits are not finite: the weights hold broken numbers")
    written = model.state_dict()
    different = [name for name, tensor in loaded.state_dict().items() if not torch.equal(tensor, written[name])]
    if different:
        raise ConversionError(f"the checkpoint does not read back as it was written: {', '.join(different)}")
    # The same bits at another address may be summed in another order: equal within rounding is all there is.
    if not torch.allclose(logits, again, rtol=ROUNDING, atol=ROUNDING * float(logits.abs().max())):
        raise ConversionError("the checkpoint gives other logits than the model it was written from")
