"""What every kind of target has: a reader, a way into a batch, and checks."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from muybridge.data.errors import DataError
from muybridge.data.sources import TarMember
from muybridge.types import VideoMetadata

NO_LABEL = -100  # the number of a name that is not known; PyTorch's cross-entropy passes over it

Place = str | TarMember
Size = tuple[int, int]  # height and width


class Row:
    """A row of a manifest: values by column, and how to find the files that it names."""

    def __init__(self, values: Mapping[str, Any], find_file: Callable[[Any], Place]) -> None:
        self.values = values
        self.find_file = find_file  # raises where there is no such file

    def get(self, column: str) -> Any:
        """The value of a column; None where it is empty."""
        value = self.values.get(column)
        return None if value == "" else value


class Target(ABC):
    """Something that is known of a clip. A kind of target is a frozen dataclass that refuses what cannot be.

    Times and frames are those of the clip's own reader: 0 is the first frame of the clip, also where the clip is a part
    of a longer file. Positions are in pixels of a displayed frame, intervals are [start, end).

    A batch holds one entry a kind, made by `collate`. All kinds follow one rule: what differs in size from clip to clip
    is padded at its end with zeros to the largest of the batch, and a boolean `mask` is True where something is real.
    Names become numbers, and a name that is not known becomes `NO_LABEL`. Texts stay lists.
    """

    kind: ClassVar[str]  # what it is called in `TARGETS` and in the targets of a record
    columns: ClassVar[tuple[str, ...]]  # of a manifest, that tell it
    title: ClassVar[str]  # a line for documents and messages

    @classmethod
    @abstractmethod
    def read(cls, row: Row) -> Self | None:
        """The target that a row of a manifest tells, texts or JSON values; None where its columns are empty."""

    @abstractmethod
    def to_row(self) -> dict[str, Any]:
        """JSON values by column, from which `read` makes the same target again."""

    @classmethod
    @abstractmethod
    def encode(cls, target: "Target | None", ids: Mapping[str, int]) -> Any:
        """What an item of a data set holds: numbers, texts, arrays. None stands for a clip without this target.

        `ids` are the numbers of the names that `get_names` gives of all clips.
        """

    @classmethod
    @abstractmethod
    def collate(cls, encoded: Sequence[Any]) -> Any:
        """A batch of what `encode` gives: a tensor, a list of texts, or a dictionary of such."""

    def get_names(self) -> Iterable[str]:
        """The names in it that get numbers, such as labels."""
        return ()

    def resize(self, _old: Size, _new: Size) -> Self:
        """The target of the same clip with frames of another height and width."""
        return self

    def find_faults(self, _video: VideoMetadata) -> Iterator[str]:
        """What in it contradicts the video, a line each."""
        yield from ()


def sort_names(names: Iterable[str]) -> list[str]:
    """Names by the alphabet, or by size where all are whole numbers; each once."""
    unique = set(names)
    return sorted(unique, key=int) if all(name.isdecimal() for name in unique) else sorted(unique)


def find_number(name: str | None, ids: Mapping[str, int], kind: str) -> int:
    """The number of a name; `NO_LABEL` where there is no name."""
    if name is None:
        return NO_LABEL
    if name not in ids:
        raise DataError(f"the {kind} {name!r} is none of the known ones: {', '.join(ids) or 'there are none'}")
    return ids[name]
