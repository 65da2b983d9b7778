"""Boxes in time: where something is in which frames, what it is, and which of several it is."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from muybridge.data.targets.base import Row, Size, Target, find_number
from muybridge.data.targets.padding import pad
from muybridge.data.targets.reading import parse_json, read_json_file
from muybridge.data.targets.registry import register_target
from muybridge.types import VideoMetadata

FIELDS = ("box", "frame", "seconds", "label", "identity")


class Box(NamedTuple):
    """A box in pixels, at a frame or at a time in seconds. Boxes of one thing share an `identity`."""

    left: float
    top: float
    right: float
    bottom: float
    frame: int | None = None
    seconds: float | None = None
    label: str | None = None
    identity: str | None = None

    @property
    def time(self) -> float:
        """Its frame, or its seconds."""
        return self.seconds if self.seconds is not None else self.frame or 0

    def scale(self, horizontal: float, vertical: float) -> "Box":
        """The box in a picture so many times as wide and as high."""
        return self._replace(
            left=self.left * horizontal,
            top=self.top * vertical,
            right=self.right * horizontal,
            bottom=self.bottom * vertical,
        )

    def __str__(self) -> str:
        where = f"frame {self.frame}" if self.seconds is None else f"{self.seconds:g} s"
        return f"the box ({self.left:g}, {self.top:g}, {self.right:g}, {self.bottom:g}) at {where}"


@register_target
@dataclass(frozen=True)
class Boxes(Target):
    """All boxes of a clip; none at all says that nothing is there.

    In a batch of clips with up to N boxes: `boxes` (B, N, 4), left, top, right, bottom; `frames` (B, N), -1 where times
    are in seconds; `seconds` (B, N), NaN where they are in frames; `labels` (B, N); `identities` (B, N), numbered in
    each clip from 0 in the order in which they come, -1 for none; `mask` (B, N).
    """

    kind = "boxes"
    columns = ("boxes",)
    title = 'boxes in time: a list of {"box": [left, top, right, bottom], "frame" or "seconds", "label", "identity"}'

    boxes: tuple[Box, ...]

    def __post_init__(self) -> None:
        for box in self.boxes:
            check_box(box)
        if len({box.seconds is None for box in self.boxes}) > 1:
            raise ValueError("some boxes have a frame and some have seconds; a clip's boxes must all have the same")
        counts = Counter((box.identity, box.time) for box in self.boxes if box.identity is not None)
        for (identity, time), count in counts.items():
            if count > 1:
                raise ValueError(f"the identity {identity!r} has {count} boxes at {time:g}; it can be in one place")

    @classmethod
    def read(cls, row: Row) -> Self | None:
        """Boxes from a list, or from a JSON file that holds a list, or an object with one under `boxes`."""
        value = parse_json(row.get("boxes"))
        if value is None:
            return None
        if isinstance(value, str):
            value = read_json_file(row.find_file(value), "boxes")
        if not isinstance(value, list):
            raise ValueError(f"boxes is {value!r}; it must be a list of objects, or a JSON file with one")
        return cls(tuple(read_box(each) for each in value))

    def to_row(self) -> dict[str, Any]:
        return {"boxes": [write_box(box) for box in self.boxes]}

    @classmethod
    def encode(cls, target: Target | None, ids: Mapping[str, int]) -> dict[str, Any]:
        boxes = target.boxes if isinstance(target, Boxes) else ()
        identities: dict[str | None, int] = {None: -1}
        for box in boxes:
            identities.setdefault(box.identity, len(identities) - 1)
        return {
            "boxes": np.array([box[:4] for box in boxes], dtype=np.float32).reshape(-1, 4),
            "frames": np.array([-1 if box.frame is None else box.frame for box in boxes], dtype=np.int64),
            "seconds": np.array([np.nan if box.seconds is None else box.seconds for box in boxes], dtype=np.float64),
            "labels": np.array([find_number(box.label, ids, "label of a box") for box in boxes], dtype=np.int64),
            "identities": np.array([identities[box.identity] for box in boxes], dtype=np.int64),
        }

    @classmethod
    def collate(cls, encoded: Sequence[dict[str, Any]]) -> Any:
        padded = {name: pad([each[name] for each in encoded]) for name in encoded[0]}
        return {**{name: values for name, (values, _) in padded.items()}, "mask": padded["boxes"][1]}

    def get_names(self) -> Iterable[str]:
        return (box.label for box in self.boxes if box.label is not None)

    def resize(self, old: Size, new: Size) -> Self:
        vertical, horizontal = new[0] / old[0], new[1] / old[1]
        return type(self)(tuple(box.scale(horizontal, vertical) for box in self.boxes))

    def find_faults(self, video: VideoMetadata) -> Iterator[str]:
        for box in self.boxes:
            if box.left < 0 or box.top < 0 or box.right > video.width or box.bottom > video.height:
                yield f"{box} reaches out of the picture, which is {video.width}×{video.height}"
            if box.frame is not None and video.is_num_frames_exact and box.frame >= video.num_frames:
                yield f"{box} comes after the end; the clip has {video.num_frames} frames"
            if box.seconds is not None and video.duration_seconds and box.seconds > video.duration_seconds:
                yield f"{box} comes after the end; the clip lasts {video.duration_seconds:.2f} s"


def check_box(box: Box) -> None:
    if not all(math.isfinite(edge) for edge in box[:4]):
        raise ValueError(f"{box} has edges that are not finite")
    if box.left >= box.right or box.top >= box.bottom:
        raise ValueError(f"{box} is empty or inverted; left must be less than right, and top less than bottom")
    if (box.frame is None) == (box.seconds is None):
        raise ValueError(f"the box {tuple(box[:4])} must have a frame or seconds, and not both")
    if not math.isfinite(box.time) or box.time < 0:
        raise ValueError(f"{box} has a time that cannot be; it must be zero or more")


def read_box(value: Any) -> Box:
    if not isinstance(value, Mapping) or "box" not in value:
        raise ValueError(
            f'{str(value)[:60]!r} is no box; it must be an object such as {{"box": [0, 0, 9, 9], "frame": 0}}'
        )
    unknown = sorted(set(value) - set(FIELDS))
    if unknown:
        raise ValueError(f"a box has {', '.join(unknown)}; its fields are {', '.join(FIELDS)}")
    edges = value["box"]
    if not isinstance(edges, Sequence) or len(edges) != 4 or not all(isinstance(edge, int | float) for edge in edges):
        raise ValueError(f"a box is {edges!r}; it must be four numbers: left, top, right, bottom")
    frame, seconds = value.get("frame"), value.get("seconds")
    if frame is not None and not isinstance(frame, int):
        raise ValueError(f"the frame of a box is {frame!r}; it must be a whole number")
    if seconds is not None and not isinstance(seconds, int | float):
        raise ValueError(f"the seconds of a box are {seconds!r}; they must be a number")
    label, identity = (None if value.get(name) is None else str(value[name]) for name in ("label", "identity"))
    left, top, right, bottom = map(float, edges)
    return Box(left, top, right, bottom, frame, None if seconds is None else float(seconds), label, identity)


def write_box(box: Box) -> dict[str, Any]:
    rest = {name: getattr(box, name) for name in FIELDS[1:]}
    return {"box": list(box[:4]), **{name: value for name, value in rest.items() if value is not None}}
