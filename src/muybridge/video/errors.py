"""What can be wrong with a video, and what a loader does about it."""

import re
from collections.abc import Callable
from os import PathLike
from typing import Literal, TypeVar, cast, get_args

Result = TypeVar("Result")
Action = Literal["raise", "skip", "retry"]


class VideoError(ValueError):
    """A video that cannot be read: which one, why, and where there is a remedy, what to do."""

    def __init__(self, source: str, reason: str = "", remedy: str = "") -> None:
        # A DataLoader makes a worker's error again from its message alone: then `source` is all of it.
        super().__init__("".join([source, f": {reason}" if reason else "", f"; {remedy}" if remedy else ""]))
        self.source = source
        self.reason = reason
        self.remedy = remedy

    def __reduce__(self) -> tuple[type["VideoError"], tuple[str, str, str]]:
        # The default rebuilds from the message alone, which fails when a DataLoader worker sends its error
        # home.
        return type(self), (self.source, self.reason, self.remedy)


class ErrorPolicy:
    """What to do with a video that cannot be read; it remembers every one that was left out.

    - `raise`: the first error ends the run.
    - `skip`: the video is recorded in `skipped` and left out.
    - `retry`: `num_retries` more attempts, for storage with hiccups; then the error ends the run.

    Only `VideoError` counts as the video's fault, and while retrying also `OSError`. Anything else is raised
    as it is.
    """

    def __init__(self, action: Action = "raise", *, num_retries: int | None = None) -> None:
        if action not in get_args(Action):
            raise ValueError(f"the error policy is {action!r}; it must be one of {', '.join(get_args(Action))}")
        if action != "retry" and num_retries is not None:
            raise ValueError(f"num_retries is {num_retries} with the policy {action!r}; only 'retry' takes it")
        if num_retries is not None and num_retries < 1:
            raise ValueError(f"num_retries is {num_retries}; it must be 1 or more")
        self.action = action
        self.num_retries = (num_retries or 3) if action == "retry" else 0
        self.skipped: list[tuple[str, str]] = []

    @classmethod
    def parse(cls, text: str) -> "ErrorPolicy":
        """The policy that a command line names: `raise`, `skip`, `retry` or `retry(5)`."""
        match = re.fullmatch(r"(raise|skip|retry)(?:\((\d+)\))?", text.strip())
        if match is None:
            raise ValueError(f"the error policy is {text!r}; it must be raise, skip, retry or retry(n)")
        action, num_retries = match.groups()
        return cls(cast(Action, action), num_retries=int(num_retries) if num_retries else None)

    def __str__(self) -> str:
        return f"retry({self.num_retries})" if self.action == "retry" else self.action

    def __repr__(self) -> str:
        return f"ErrorPolicy.parse({str(self)!r})"

    @property
    def num_skipped(self) -> int:
        return len(self.skipped)

    def attempt(self, function: Callable[[], Result], source: object) -> Result | None:
        """What `function` returns; None where it failed on `source` and the policy is to skip."""
        for _ in range(self.num_retries):
            try:
                return function()
            except (VideoError, OSError):
                continue
        try:
            return function()
        except VideoError as error:
            if self.action != "skip":
                raise
            # Bytes and tensors have no name of their own; the error has one for them.
            self.record(source if isinstance(source, str | PathLike) else error.source, error.reason)
            return None

    def record(self, source: object, reason: str) -> None:
        """Notes a video that was left out, also one that another process met."""
        self.skipped.append((str(source), reason))

    def report(self) -> str:
        """What was left out, one video a line."""
        if not self.skipped:
            return "no video was skipped"
        plural = "s were" if self.num_skipped > 1 else " was"
        lines = [f"  {source}: {reason}" for source, reason in self.skipped]
        return "\n".join([f"{self.num_skipped} video{plural} skipped:", *lines])
