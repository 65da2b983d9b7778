"""Scene number i of the infinite set, from its settings and i alone: what is in a clip, and where in each frame.

Everything in a scene has a pose in each frame: z ↦ scale·z + centre, over complex numbers, from its own coordinates to
the picture's, which run from -0.5 to 0.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from muybridge.data.sprites.appearance import SHAPES, Look, Texture, draw_looks
from muybridge.data.sprites.motion import EASY, Points, Reals, State, draw_course, draw_state, make_direction
from muybridge.data.sprites.settings import MOTIONS, SpriteSettings, get_label_id

# In the picture's sides. The largest sprites leave the picture by a little where they are farthest out.
SMALLEST_RADIUS, LARGEST_RADIUS = 0.15, 0.36
POSITION_RADIUS = 0.22

# How far the camera goes in a clip at most: in the picture's sides, in turns, as a factor.
CAMERA_PAN, CAMERA_ROLL, CAMERA_ZOOM = 0.12, 0.03, 1.12


@dataclass(frozen=True)
class Pose:
    """The map z ↦ scale·z + centre in each frame (T,)."""

    scale: Points
    centre: Points

    def after(self, inner: "Pose") -> "Pose":
        """This pose of what has the pose `inner` in it."""
        return Pose(self.scale * inner.scale, self.scale * inner.centre + self.centre)

    def invert(self) -> "Pose":
        return Pose(1 / self.scale, -self.centre / self.scale)

    def step(self) -> "Pose":
        """From the picture at frame t to the picture at t + 1, (T - 1,)."""
        before, later = Pose(self.scale[:-1], self.centre[:-1]), Pose(self.scale[1:], self.centre[1:])
        return later.after(before.invert())

    def at(self, frames: NDArray[np.int64], points: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Maps points (N,), each with the pose of its own frame (N,)."""
        return points * self.scale.astype(np.complex64)[frames] + self.centre.astype(np.complex64)[frames]


@dataclass(frozen=True)
class Sprite:
    """A sprite: what it looks like, what it does, and its pose in the picture."""

    look: Look
    motion: str
    pose: Pose


@dataclass(frozen=True)
class Scene:
    """Sprites over a background, the one in front first; `camera` is the pose of the background in the picture."""

    sprites: Sequence[Sprite]
    background: Texture
    camera: Pose

    @property
    def num_frames(self) -> int:
        return len(self.camera.scale)

    @property
    def is_camera_still(self) -> bool:
        return bool(np.all(self.camera.scale == 1) and np.all(self.camera.centre == 0))


def make_scene(index: int, settings: SpriteSettings) -> Scene:
    """Draws the same random numbers for every class, so that the class changes the motion or the shape alone."""
    if index < 0:
        raise ValueError(f"index is {index}; clips are numbered from 0")
    generator = np.random.default_rng((settings.seed, index))
    name = settings.labels[get_label_id(index, settings)]
    sprite, background = draw_sprite(generator, settings, name)
    camera = draw_camera(generator, settings) if settings.camera_motion else make_still_camera(settings.num_frames)
    sprites = [sprite, *(draw_further_sprite(index, number, settings) for number in range(1, settings.num_sprites))]
    return Scene([replace(each, pose=camera.after(each.pose)) for each in sprites], background, camera)


def draw_sprite(generator: np.random.Generator, settings: SpriteSettings, name: str) -> tuple[Sprite, Texture]:
    """A sprite of a class, in its pose before a camera that stands still, and a background."""
    look, background = draw_looks(generator, settings.num_colours)
    start, course = draw_state(generator), draw_course(generator, settings.num_frames)
    motion = list(EASY)[generator.integers(len(EASY))]
    if name in SHAPES:
        look = replace(look, shape=name)
    else:
        motion = name
    return Sprite(look, motion, make_pose(MOTIONS[motion](start, course), settings.num_frames)), background


def draw_further_sprite(index: int, number: int, settings: SpriteSettings) -> Sprite:
    """A sprite behind the first one, of any class, from numbers of its own: it changes nothing of the others."""
    generator = np.random.default_rng((settings.seed, index, number))
    name = settings.labels[generator.integers(len(settings.labels))]
    return draw_sprite(generator, settings, name)[0]


def make_pose(state: State, num_frames: int) -> Pose:
    """The pose of a sprite in a state; what the motion leaves alone is the same in each frame."""
    radius = SMALLEST_RADIUS * (LARGEST_RADIUS / SMALLEST_RADIUS) ** state.growth
    scale = radius * np.exp(2j * np.pi * state.turn)
    return Pose(np.broadcast_to(scale, num_frames), np.broadcast_to(POSITION_RADIUS * state.position, num_frames))


def make_still_camera(num_frames: int) -> Pose:
    return Pose(np.ones(num_frames, dtype=complex), np.zeros(num_frames, dtype=complex))


def draw_camera(generator: np.random.Generator, settings: SpriteSettings) -> Pose:
    """A camera that pans, rolls and zooms steadily, and is where a still one is at half time."""
    pan, roll, zoom = generator.uniform(-1, 1, 3)
    steady: Reals = np.linspace(0, 1, settings.num_frames) - 0.5
    scale = CAMERA_ZOOM ** (zoom * steady) * np.exp(2j * np.pi * CAMERA_ROLL * roll * steady)
    return Pose(scale, CAMERA_PAN * pan * make_direction(generator.random()) * steady)
