"""One data set as training needs it: what is learnt from, and what is judged on."""

from dataclasses import dataclass

from muybridge.data.records import VideoRecords


@dataclass(frozen=True)
class SplitData:
    """The clips that a run learns from, and those that it is judged on where there is such a split."""

    name: str
    training: VideoRecords
    evaluation: VideoRecords | None = None
    training_split: str | None = None
    evaluation_split: str | None = None

    def describe_training(self) -> str:
        """How errors call the training clips."""
        return self.name if self.training_split is None else f"{self.name}, split {self.training_split!r}"
