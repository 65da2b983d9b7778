"""What is looked at before a run begins: whose the weights are."""

from pathlib import Path

from safetensors import safe_open
from transformers import AutoConfig

from muybridge.models import ARCHITECTURES


def check_weights(checkpoint: str) -> None:
    """Raises where a checkpoint folder holds the weights of another architecture than its config names."""
    weights = Path(checkpoint) / "model.safetensors"
    if not weights.is_file():
        return
    stated = AutoConfig.from_pretrained(checkpoint).model_type
    with safe_open(weights, framework="pt") as file:
        prefixes = {name.partition(".")[0] for name in file.keys()}  # noqa: SIM118  # not a dictionary
    found = [name for name, each in ARCHITECTURES.items() if each.model.base_model_prefix in prefixes]
    if found and stated not in found:
        raise ValueError(
            f"{checkpoint}: config.json says {stated}, but model.safetensors holds the weights of {found[0]}; put back "
            "the config.json that belongs to them"
        )
