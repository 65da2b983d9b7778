"""A scene becomes frames, flow, masks and boxes.

Everything in a scene has a pose in each frame: z ↦ scale·z + centre, over complex numbers, from its own coordinates to
the picture's, which run from -0.5 to 0.5. A pixel's colour is that of the point under it, and its flow leads to where
the next frame's pose carries that point: both are exact, with no picture warped.

Shapes: T frames of S×S pixels; N pixels that the sprite may cover, over all frames.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from muybridge.data.sprites.appearance import Appearance, coverage
from muybridge.data.sprites.motion import Points


@dataclass(frozen=True)
class Pose:
    """The map z ↦ scale·z + centre in each frame (T,)."""

    scale: Points
    centre: Points

    def after(self, inner: "Pose") -> "Pose":
        """This pose of what has the pose `inner` in it."""
        return Pose(self.scale * inner.scale, self.scale * inner.centre + self.centre)

    def inverse(self) -> "Pose":
        return Pose(1 / self.scale, -self.centre / self.scale)

    def step(self) -> "Pose":
        """From the picture at frame t to the picture at t + 1, (T - 1,)."""
        before, later = Pose(self.scale[:-1], self.centre[:-1]), Pose(self.scale[1:], self.centre[1:])
        return later.after(before.inverse())

    def at(self, frames: NDArray[np.int64], points: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Maps points (N,), each with the pose of its own frame (N,)."""
        return points * self.scale.astype(np.complex64)[frames] + self.centre.astype(np.complex64)[frames]


@dataclass(frozen=True)
class Scene:
    """A sprite over a background: their looks, and their poses in the picture."""

    appearance: Appearance
    sprite: Pose
    background: Pose

    @property
    def is_background_still(self) -> bool:
        return bool(np.all(self.background.scale == 1) and np.all(self.background.centre == 0))


class Rendered(NamedTuple):
    """frames: uint8 (T, 3, S, S). masks: bool (T, S, S), where the sprite is. flow: (T - 1, 2, S, S). boxes: (T, 4)."""

    frames: Tensor
    masks: Tensor
    flow: Tensor
    boxes: Tensor


class Covered(NamedTuple):
    """The pixels (N,) that a sprite may cover: frame, row and column of each."""

    frames: NDArray[np.int64]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


def render(scene: Scene, size: int) -> Rendered:
    pixels = pixel_grid(size)
    background = render_background(scene, pixels)
    covered = covered_pixels(scene.sprite, pixels)
    own = scene.sprite.inverse().at(covered.frames, pixels[covered.rows, covered.columns])
    pixel_width = (1 / (size * np.abs(scene.sprite.scale))).astype(np.float32)[covered.frames]
    outside = scene.appearance.outside(own)
    opacity = coverage(outside, pixel_width)
    under = background[covered.frames % len(background), covered.rows, covered.columns]
    colours = scene.appearance.sprite_colours(own, outside, pixel_width)

    num_frames = len(scene.sprite.scale)
    picture = np.empty((num_frames, size, size, 3), dtype=np.uint8)
    picture[:] = to_bytes(background)
    picture[covered] = to_bytes(under + opacity[:, None] * (colours - under))
    masks = np.zeros((num_frames, size, size), dtype=bool)
    masks[covered] = opacity >= 0.5
    return Rendered(
        frames=torch.from_numpy(picture).permute(0, 3, 1, 2).contiguous(),
        masks=torch.from_numpy(masks),
        flow=torch.from_numpy(flow_of(scene, pixels, masks)),
        boxes=torch.from_numpy(boxes_of(masks)),
    )


def pixel_grid(size: int) -> NDArray[np.complex64]:
    """The centres (S, S) of the pixels, in the picture's coordinates."""
    centres = ((np.arange(size) + 0.5) / size - 0.5).astype(np.float32)
    return centres[None, :] + np.complex64(1j) * centres[:, None]


def covered_pixels(sprite: Pose, pixels: NDArray[np.complex64]) -> Covered:
    """The pixels within the circle around a sprite: the others need no computing."""
    columns = pixels[0].real - sprite.centre.real[:, None].astype(np.float32)
    rows = pixels[:, 0].imag - sprite.centre.imag[:, None].astype(np.float32)
    radius = (np.abs(sprite.scale) + 1 / len(pixels)).astype(np.float32)
    is_near = columns[:, None, :] ** 2 < radius[:, None, None] ** 2 - rows[:, :, None] ** 2
    return positions(is_near)


def positions(flags: NDArray[np.bool_]) -> Covered:
    """`np.nonzero`, several times as fast."""
    return Covered(*np.unravel_index(np.flatnonzero(flags), flags.shape))


def render_background(scene: Scene, pixels: NDArray[np.complex64]) -> NDArray[np.float32]:
    """The background's colours (T, S, S, 3), or (1, S, S, 3) where it stands still."""
    poses = scene.background.inverse()
    num_frames = 1 if scene.is_background_still else len(poses.scale)
    return scene.appearance.background(poses.at(np.arange(num_frames)[:, None, None], pixels))


def to_bytes(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def flow_of(scene: Scene, pixels: NDArray[np.complex64], masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """How far (T - 1, 2, S, S), in pixels to the right and down, what is seen at t has gone at t + 1."""
    num_frames, size = masks.shape[:2]
    flow = np.zeros((num_frames - 1, size, size), dtype=np.complex64)
    if not scene.is_background_still:
        flow += scene.background.step().at(np.arange(num_frames - 1)[:, None, None], pixels) - pixels
    seen = positions(masks[:-1])
    points = pixels[seen.rows, seen.columns]
    flow[seen] = scene.sprite.step().at(seen.frames, points) - points
    return np.stack([flow.real, flow.imag], axis=1) * np.float32(size)


def boxes_of(masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Left, top, right, bottom (T, 4) of what is seen of the sprite: intervals [start, end), or zeros."""
    left, right = interval(np.any(masks, axis=1))
    top, bottom = interval(np.any(masks, axis=2))
    return np.stack([left, top, right, bottom], axis=1).astype(np.float32)


def interval(hits: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """From the first to the last hit of each row."""
    is_hit = hits.any(axis=1)
    start, end = hits.argmax(axis=1), hits.shape[1] - hits[:, ::-1].argmax(axis=1)
    return np.where(is_hit, start, 0), np.where(is_hit, end, 0)
