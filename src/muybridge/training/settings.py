"""Every setting of a training run, in one flat dataclass: the command's flags, and what a run folder records."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from muybridge.files import replace_text

# What may differ between a run and its continuation: none of it changes a weight.
FREE_TO_CHANGE = frozenset({"output", "num_workers", "trackers", "save_every_steps", "evaluate_every_epochs"})


@dataclass
class TrainingSettings:
    """What is trained, on what, and how. Learning rates are those of the whole batch, whatever the processes."""

    model: str = field(metadata={"help": "an architecture (see `muybridge models`), or a checkpoint to start from"})
    data: list[str] = field(metadata={"help": "what load_videos reads; several data sets get a classifier each"})
    output: str = field(metadata={"help": "the folder of the run"})
    objective: str = field(default="classification", metadata={"help": "what is learnt"})
    objective_fields: dict[str, Any] = field(
        default_factory=dict, metadata={"help": "the numbers of the objective, as temperature=0.1"}
    )
    other_data: dict[str, Any] = field(
        default_factory=dict, metadata={"help": "further data that the objective learns from, as unlabelled=clips"}
    )

    split: str = field(default="train", metadata={"help": "the split to train on"})
    evaluation_split: str | None = field(default=None, metadata={"help": "the split to evaluate on (test, or val)"})

    epochs: int = 10
    steps: int | None = field(default=None, metadata={"help": "stop after this many steps, whatever the epochs"})
    batch_size: int = field(default=8, metadata={"help": "clips a step and process"})
    accumulation_steps: int = field(default=1, metadata={"help": "batches whose gradients make one step"})

    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = field(default=1e-4, metadata={"help": "not applied to norms and biases"})
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    step_epochs: list[float] = field(default_factory=list, metadata={"help": "when schedule=step lowers the rate"})
    step_factor: float = field(default=0.1, metadata={"help": "by what factor it does"})
    warmup_epochs: float = 0.0
    max_gradient_norm: float | None = None

    trained: Literal["all", "classifier", "last-stages", "two-steps"] = field(
        default="all", metadata={"help": "what is trained; two-steps: the classifier first, then all"}
    )
    num_last_stages: int = field(default=1, metadata={"help": "how many, with trained=last-stages"})
    classifier_epochs: int = field(default=1, metadata={"help": "how long the first of two steps lasts"})
    trunk_rate_factor: float = field(default=1.0, metadata={"help": "the trunk's learning rate over the classifier's"})
    layer_decay: float = field(default=1.0, metadata={"help": "a stage's rate over that of the stage after it"})

    augment: bool = field(default=True, metadata={"help": "random clips, crops and mirror images; or the middle"})
    flip: bool = field(default=True, metadata={"help": "mirror clips by chance; not where left and right differ"})
    smallest_crop: float = field(default=0.5, metadata={"help": "the least share of a frame that a crop takes"})
    label_smoothing: float = 0.0
    mixup: float = field(default=0.0, metadata={"help": "alpha of its beta distribution; 0 is none"})
    cutmix: float = field(default=0.0, metadata={"help": "alpha of its beta distribution; 0 is none"})
    dropout: float | None = field(default=None, metadata={"help": "the classifier's; the model's own by default"})
    average_decay: float = field(default=0.0, metadata={"help": "of a moving average of the weights; 0 is none"})

    num_frames: int | None = field(default=None, metadata={"help": "of a new network; its own by default"})
    image_size: int | None = field(default=None, metadata={"help": "of a new network; its own by default"})
    model_fields: dict[str, Any] = field(
        default_factory=dict, metadata={"help": "further fields of a new network's config, as depths=[1,1,1,1]"}
    )
    processor_fields: dict[str, Any] = field(
        default_factory=dict, metadata={"help": "how clips are made of videos, as sampling=uniform frame_stride=2"}
    )

    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    compile: bool = False
    channels_last: bool = False
    cache_features: bool = field(default=False, metadata={"help": "compute a frozen trunk's features once"})
    seed: int = 0
    num_workers: int = 2
    errors: str = field(default="skip", metadata={"help": "raise, skip or retry(N): what an unreadable clip does"})
    evaluate_every_epochs: int = 1
    save_every_steps: int | None = field(default=None, metadata={"help": "also within an epoch"})
    trackers: list[str] = field(default_factory=lambda: ["tensorboard"])
    licence: str = field(default="", metadata={"help": "of the weights, for the card: apache-2.0, cc-by-4.0, …"})

    def __post_init__(self) -> None:
        self.check_choices()
        self.check_bounds()
        if self.cache_features and (self.trained != "classifier" or self.augment):
            raise ValueError(
                f"cache_features needs a frozen trunk and clips that stay the same: trained is {self.trained!r} and "
                f"augment {self.augment}; set trained='classifier' and augment=False"
            )
        if self.schedule == "step" and not self.step_epochs:
            raise ValueError("schedule is 'step'; name the epochs at which the rate is lowered in step_epochs")
        mixing = {"mixup": self.mixup, "cutmix": self.cutmix}
        if all(mixing.values()) or (any(mixing.values()) and (len(self.data) > 1 or self.cache_features)):
            raise ValueError(
                f"{mixing}: choose one of them at most, and none with several data sets or cached features"
            )

    def check_choices(self) -> None:
        for spec in fields(self):
            if get_origin(spec.type) is Literal and getattr(self, spec.name) not in get_args(spec.type):
                choices = ", ".join(map(repr, get_args(spec.type)))
                raise ValueError(f"{spec.name} is {getattr(self, spec.name)!r}; it must be one of {choices}")

    def check_bounds(self) -> None:
        for name in ("epochs", "batch_size", "accumulation_steps", "num_last_stages", "evaluate_every_epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        for name in ("learning_rate", "trunk_rate_factor", "layer_decay"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be positive")
        for name in ("mixup", "cutmix", "weight_decay", "warmup_epochs", "num_workers"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; it must lie in [0, 1)")
        if not 0 < self.smallest_crop <= 1:
            raise ValueError(f"smallest_crop is {self.smallest_crop}; it must lie in (0, 1]")
        for name in ("label_smoothing", "average_decay", "momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie in [0, 1)")

    def save(self, path: Path) -> None:
        replace_text(path, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> "TrainingSettings":
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def list_given(self) -> dict[str, Any]:
        """The settings that are not what they are by default."""
        defaults = type(self)(model=self.model, data=self.data, output=self.output)
        always = ("model", "data", "output")
        return {
            name: value for name, value in asdict(self).items() if name in always or value != getattr(defaults, name)
        }

    def list_changes(self, earlier: "TrainingSettings") -> list[str]:
        """What differs from the settings of a run that this one continues, as far as it matters to the weights."""
        before, now = (json.loads(json.dumps(asdict(settings))) for settings in (earlier, self))  # lists, not tuples
        names = [name for name in now if name not in FREE_TO_CHANGE and before[name] != now[name]]
        return [f"{name}: {before[name]!r} is now {now[name]!r}" for name in names]
