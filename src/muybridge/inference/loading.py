"""How videos are read on the way to a network."""

from dataclasses import dataclass

from muybridge.video import ErrorPolicy


@dataclass(frozen=True)
class Loading:
    """`batch_size` views go through the network at once; `num_workers` threads decode ahead; `errors` is what an
    unreadable video does: raise, skip or retry(n)."""

    batch_size: int = 8
    num_workers: int = 2
    errors: str = "skip"

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}; it must be 1 or more")
        if self.num_workers < 0:
            raise ValueError(f"num_workers is {self.num_workers}; it must be zero or more")
        self.make_policy()

    def make_policy(self) -> ErrorPolicy:
        """A new policy, which has skipped nothing yet."""
        return ErrorPolicy.parse(self.errors)
