"""Which parameters are trained, and at what rate: by the stages that a model lists from input to output."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from muybridge.models.video_base import VideoForClassification
from muybridge.training.settings import TrainingSettings


def freeze(model: VideoForClassification, num_trained_stages: int | None) -> None:
    """Leaves the last `num_trained_stages` stages and the classifier to be trained; None trains every stage."""
    stages = model.get_stages()
    first = 0 if num_trained_stages is None else max(0, len(stages) - num_trained_stages)
    for parameter in model.base_model.parameters():
        parameter.requires_grad_(first == 0)
    for stage in stages[first:]:
        stage.requires_grad_(True)
    model.get_classifier().requires_grad_(True)


def train_mode(model: VideoForClassification) -> None:
    """Training mode, but for the norms of frozen stages: their statistics must not move either."""
    model.train()
    for stage in model.get_stages():
        if not any(parameter.requires_grad for parameter in stage.parameters()):
            for module in stage.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()


def parameter_groups(model: VideoForClassification, settings: TrainingSettings) -> list[dict[str, object]]:
    """Groups for an optimiser: each stage with its rate, norms and biases without weight decay.

    The stage next to the classifier has `trunk_rate_factor` times the learning rate, and each one before it
    `layer_decay` times that of the one after it.
    """
    stages = model.get_stages()
    rates = {id(parameter): settings.learning_rate for parameter in model.parameters()}
    for distance, stage in enumerate(reversed(stages)):
        rate = settings.learning_rate * settings.trunk_rate_factor * settings.layer_decay**distance
        rates.update({id(parameter): rate for parameter in stage.parameters()})
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        decay = settings.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rates[id(parameter)], decay), []).append(parameter)
    return [{"params": members, "lr": rate, "weight_decay": decay} for (rate, decay), members in groups.items()]
