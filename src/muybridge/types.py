"""Values that check themselves: what is known of a video, which of its frames make a clip, how it is judged."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

# What a result is told in, by the names of its numbers. Those that are shares of one are read as percentages.
HEADLINES = {
    "clip_hit_at_1": "clip Hit@1",
    "video_hit_at_1": "video Hit@1",
    "video_hit_at_5": "video Hit@5",
    "mean_class_accuracy": "mean class accuracy",
    "mean_average_precision": "mAP",
    "negative_log_likelihood": "negative log likelihood",
    "expected_calibration_error": "calibration error",
}
SHARES = HEADLINES.keys() - {"negative_log_likelihood"}


@dataclass(frozen=True)
class VideoMetadata:
    """What is known of a video. `height` and `width` are those of a displayed frame, after rotation.

    `num_frames` is the number of frames that decoding gives where `is_num_frames_exact`, and the header's or
    the duration's word otherwise. `fps` is the average over the video; it is None where nothing tells.
    `rotation_degrees` is how far stored frames are turned counterclockwise to be displayed.
    """

    num_frames: int
    is_num_frames_exact: bool
    fps: float | None
    duration_seconds: float | None
    height: int
    width: int
    rotation_degrees: int = 0
    codec: str = "unknown"
    container: str = "unknown"

    def __post_init__(self) -> None:
        if self.num_frames < 0:
            raise ValueError(f"num_frames is {self.num_frames}; it must be zero or more")
        if self.fps is not None and self.fps <= 0:
            raise ValueError(f"fps is {self.fps}; it must be positive, or None where it is not known")
        if self.height <= 0 or self.width <= 0:
            raise ValueError(f"the size is {self.height}x{self.width}; both sides must be positive")


@dataclass(frozen=True)
class Clip:
    """Which frames of a video make a clip, and which of them are real.

    Where the video is shorter than the clip, its last frame is repeated and `mask` is False there: the one rule
    for short videos everywhere in the library.
    """

    indices: NDArray[np.int64]
    mask: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))

    def __post_init__(self) -> None:
        indices = np.asarray(self.indices, dtype=np.int64)
        mask = np.asarray(self.mask, dtype=np.bool_) if len(self.mask) else np.ones(len(indices), dtype=np.bool_)
        if indices.ndim != 1 or len(indices) == 0:
            raise ValueError(f"a clip needs a list of at least one frame index, not an array of shape {indices.shape}")
        if indices.min() < 0:
            raise ValueError(f"frame indices start at 0; the clip has {indices.min()}")
        if mask.shape != indices.shape:
            raise ValueError(f"the clip has {len(indices)} frames and a mask of {len(mask)}; they must be as many")
        object.__setattr__(self, "indices", indices)
        object.__setattr__(self, "mask", mask)

    def __len__(self) -> int:
        return len(self.indices)

    @classmethod
    def held(cls, indices: Sequence[int] | NDArray[Any], num_frames: int) -> "Clip":
        """The clip of `indices` in a video of `num_frames`, with the last frame held for those past its end."""
        if num_frames < 1:
            raise ValueError(f"num_frames is {num_frames}; a clip needs a video of at least one frame")
        wanted = np.asarray(indices, dtype=np.int64)
        return cls(np.minimum(wanted, num_frames - 1), wanted < num_frames)


@dataclass(frozen=True)
class Protocol:
    """How a video is judged: how many views it gives, where and how large they are, how their scores become one.

    A number without its protocol means little: the same R(2+1)D-18 scores 57.5 or 67.5 on Kinetics-400. What is None
    is as the checkpoint's processor has it: `sampling`, `num_frames`, `frame_stride` and `fps` say which frames make
    a clip, `short_side` to what the frames are resized, and `crop_size` which square of them the model sees.
    """

    num_clips: int = 1
    num_crops: int = 1
    aggregation: Literal["softmax", "logits"] = "softmax"
    sampling: Literal["uniform", "dense", "segments", "strided"] | None = None
    num_frames: int | None = None
    frame_stride: int | float | None = None
    fps: int | float | None = None
    short_side: int | None = None
    crop_size: int | None = None

    def __post_init__(self) -> None:
        if self.num_clips < 1:
            raise ValueError(f"num_clips is {self.num_clips}; it must be 1 or more")
        if self.num_crops not in (1, 3, 5, 10):
            raise ValueError(f"num_crops is {self.num_crops}; it must be 1, 3, 5 or 10")
        if self.aggregation not in ("softmax", "logits"):
            raise ValueError(f"aggregation is {self.aggregation!r}; it must be 'softmax' or 'logits'")
        if self.sampling not in (None, "uniform", "dense", "segments", "strided"):
            raise ValueError(
                f"sampling is {self.sampling!r}; it must be 'uniform', 'dense', 'segments', 'strided' or None"
            )
        for name in ("num_frames", "frame_stride", "fps", "short_side", "crop_size"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} is {value}; it must be positive, or None to leave it to the processor")

    @property
    def num_views(self) -> int:
        return self.num_clips * self.num_crops

    def to_dict(self) -> dict[str, Any]:
        """The views and the aggregation, and of the rest what is not left to the processor."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def __str__(self) -> str:
        clips = f"{self.num_clips} clip" + "s" * (self.num_clips != 1)
        crops = f"{self.num_crops} crop" + "s" * (self.num_crops != 1)
        views = ("num_clips", "num_crops", "aggregation")
        rest = [f"{name} {value}" for name, value in self.to_dict().items() if name not in views]
        return ", ".join([f"{clips} × {crops}", f"mean of {self.aggregation}", *rest])
