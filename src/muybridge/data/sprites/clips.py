"""Clip number i of the infinite set, from its settings and i alone."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from muybridge.data.sprites.appearance import SHAPES, draw_appearance
from muybridge.data.sprites.motion import EASY, HARD, Motion, Reals, State, direction, draw_course, draw_state
from muybridge.data.sprites.rendering import Pose, Scene, render

MOTIONS: dict[str, Motion] = {**EASY, **HARD}

# In the set "appearance" the shape tells the class, and the motion is any of the easy ones.
CLASS_SETS: dict[str, tuple[str, ...]] = {
    "easy": tuple(EASY),
    "hard": tuple(HARD),
    "all": tuple(MOTIONS),
    "appearance": tuple(SHAPES),
}

# In the picture's sides. The largest sprites leave the picture by a little where they are farthest out.
SMALLEST_RADIUS, LARGEST_RADIUS = 0.15, 0.36
POSITION_RADIUS = 0.22

# How far the camera goes in a clip at most: in the picture's sides, in turns, as a factor.
CAMERA_PAN, CAMERA_ROLL, CAMERA_ZOOM = 0.12, 0.03, 1.12


@dataclass(frozen=True)
class SpriteSettings:
    """Which set of clips.

    classes: the name of a set in `CLASS_SETS`, or motions, or shapes. Whatever their order here, labels are numbered by
        the alphabet, as in a folder of class folders.
    size: pixels a side.
    camera_motion: whether the camera pans, rolls and zooms a little; motions are then those before the background.
    """

    classes: str | Iterable[str] = "easy"
    num_frames: int = 16
    size: int = 64
    seed: int = 0
    camera_motion: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", sorted_classes(self.classes))
        for name, least in (("num_frames", 1), ("size", 16), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be {least} or more")

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their numbers."""
        return tuple(self.classes)


def sorted_classes(classes: str | Iterable[str]) -> tuple[str, ...]:
    if isinstance(classes, str) and classes not in CLASS_SETS:
        raise ValueError(f"classes is {classes!r}; the sets are {', '.join(CLASS_SETS)}")
    names = CLASS_SETS[classes] if isinstance(classes, str) else tuple(classes)
    if not names or not (set(names) <= set(MOTIONS) or set(names) <= set(SHAPES)):
        known = f"motions ({', '.join(MOTIONS)}) or of shapes ({', '.join(SHAPES)})"
        raise ValueError(f"classes is {names}; it must name some of the {known}")
    return tuple(sorted(set(names)))


class SpriteClip(NamedTuple):
    """A clip and all that is true of it.

    frames: uint8 (T, 3, H, W).
    label: the number of its class.
    flow: float (T - 1, 2, H, W), how far in pixels what is seen at t has gone at t + 1, u then v. Where the sprite
        jumps from one edge to the other, so does its flow.
    boxes: float (T, 4), left, top, right, bottom of what is seen of the sprite, in pixels, intervals [start, end).
    masks: bool (T, H, W), which pixels are the sprite's.
    """

    frames: Tensor
    label: int
    flow: Tensor
    boxes: Tensor
    masks: Tensor


def sprite(index: int, **settings: Any) -> SpriteClip:
    """Clip number `index` of the set that `SpriteSettings(**settings)` describes."""
    return make_clip(index, SpriteSettings(**settings))


def make_clip(index: int, settings: SpriteSettings) -> SpriteClip:
    rendered = render(make_scene(index, settings), settings.size)
    return SpriteClip(rendered.frames, label_of(index, settings), rendered.flow, rendered.boxes, rendered.masks)


def label_of(index: int, settings: SpriteSettings) -> int:
    """Classes take turns, so that any run of clips is balanced."""
    return index % len(settings.labels)


def make_scene(index: int, settings: SpriteSettings) -> Scene:
    """All that is random is drawn, whatever the class, from the same numbers: the class changes nothing else."""
    if index < 0:
        raise ValueError(f"index is {index}; clips are numbered from 0")
    generator = np.random.default_rng((settings.seed, index))
    appearance = draw_appearance(generator)
    start, course = draw_state(generator), draw_course(generator, settings.num_frames)
    motion = list(EASY)[generator.integers(len(EASY))]
    camera = draw_camera(generator, course.time) if settings.camera_motion else still_camera(settings.num_frames)
    name = settings.labels[label_of(index, settings)]
    if name in SHAPES:
        appearance = replace(appearance, shape=name)
    else:
        motion = name
    return Scene(appearance, camera.after(pose_of(MOTIONS[motion](start, course), settings.num_frames)), camera)


def pose_of(state: State, num_frames: int) -> Pose:
    """The pose in the scene of a sprite in a state; what the motion leaves alone is the same in each frame."""
    radius = SMALLEST_RADIUS * (LARGEST_RADIUS / SMALLEST_RADIUS) ** state.growth
    scale = radius * np.exp(2j * np.pi * state.turn)
    return Pose(np.broadcast_to(scale, num_frames), np.broadcast_to(POSITION_RADIUS * state.position, num_frames))


def still_camera(num_frames: int) -> Pose:
    return Pose(np.ones(num_frames, dtype=complex), np.zeros(num_frames, dtype=complex))


def draw_camera(generator: np.random.Generator, time: Reals) -> Pose:
    """A camera that pans, rolls and zooms steadily, and is where a still one is at half time."""
    pan, roll, zoom = generator.uniform(-1, 1, 3)
    steady = time - 0.5
    scale = CAMERA_ZOOM ** (zoom * steady) * np.exp(2j * np.pi * CAMERA_ROLL * roll * steady)
    return Pose(scale, CAMERA_PAN * pan * direction(generator.random()) * steady)
