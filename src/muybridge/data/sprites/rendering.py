"""A scene becomes frames, flow, and which pixel is whose.

A pixel's colour is that of the point under it, and its flow leads to where the next frame's pose carries that point:
both are exact, with no picture warped.

Shapes: T frames of S×S pixels; N pixels that a sprite may cover, over all frames.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from muybridge.data.sprites.appearance import compute_coverage
from muybridge.data.sprites.scenes import Pose, Scene, Sprite


class Rendered(NamedTuple):
    """What a scene looks like.

    frames: uint8 (T, 3, S, S).
    things: uint8 (T, S, S), what each pixel shows: 0 is the background, 1 the sprite in front, 2 the one behind it, …
    flow: float32 (T - 1, 2, S, S), how far, in pixels to the right and down, what is seen at t has gone at t + 1.
    """

    frames: NDArray[np.uint8]
    things: NDArray[np.uint8]
    flow: NDArray[np.float32]


class Covered(NamedTuple):
    """The pixels (N,) that a sprite may cover: frame, row and column of each."""

    frames: NDArray[np.int64]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


def render(scene: Scene, size: int) -> Rendered:
    pixels = make_pixel_grid(size)
    shape = (scene.num_frames, size, size)
    colours = render_background(scene, pixels)
    picture = np.empty((*shape, 3), dtype=np.uint8)
    picture[:] = to_bytes(colours)
    things = np.zeros(shape, dtype=np.uint8)
    if len(scene.sprites) > 1:  # each is painted over those behind it, and not over the background alone
        colours = np.broadcast_to(colours, (*shape, 3)).copy()
    for number, sprite in reversed(list(enumerate(scene.sprites, start=1))):
        covered = find_covered_pixels(sprite.pose, pixels)
        under = colours[covered.frames % len(colours), covered.rows, covered.columns]
        painted, opacity = paint(sprite, covered, pixels, under)
        picture[covered] = to_bytes(painted)
        things[covered] = np.where(opacity >= 0.5, np.uint8(number), things[covered])
        if len(scene.sprites) > 1:
            colours[covered] = painted
    flow = compute_flow(scene, pixels, things)
    return Rendered(np.ascontiguousarray(picture.transpose(0, 3, 1, 2)), things, flow)


def make_pixel_grid(size: int) -> NDArray[np.complex64]:
    """The centres (S, S) of the pixels, in the picture's coordinates."""
    centres = ((np.arange(size) + 0.5) / size - 0.5).astype(np.float32)
    return centres[None, :] + np.complex64(1j) * centres[:, None]


def find_covered_pixels(sprite: Pose, pixels: NDArray[np.complex64]) -> Covered:
    """The pixels within the circle around a sprite: the others need no computing."""
    columns = pixels[0].real - sprite.centre.real[:, None].astype(np.float32)
    rows = pixels[:, 0].imag - sprite.centre.imag[:, None].astype(np.float32)
    radius = (np.abs(sprite.scale) + 1 / len(pixels)).astype(np.float32)
    is_near = columns[:, None, :] ** 2 < radius[:, None, None] ** 2 - rows[:, :, None] ** 2
    return find_positions(is_near)


def find_positions(flags: NDArray[np.bool_]) -> Covered:
    """`np.nonzero`, several times as fast."""
    return Covered(*np.unravel_index(np.flatnonzero(flags), flags.shape))


def paint(
    sprite: Sprite, covered: Covered, pixels: NDArray[np.complex64], under: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The colours (N, 3) of a sprite over those `under` it, and its opacity (N,)."""
    points = sprite.pose.invert().at(covered.frames, pixels[covered.rows, covered.columns])
    pixel_width = (1 / (len(pixels) * np.abs(sprite.pose.scale))).astype(np.float32)[covered.frames]
    outside = sprite.look.measure_outside(points)
    opacity = compute_coverage(outside, pixel_width)
    return under + opacity[:, None] * (sprite.look.colour_points(points, outside, pixel_width) - under), opacity


def render_background(scene: Scene, pixels: NDArray[np.complex64]) -> NDArray[np.float32]:
    """The background's colours (T, S, S, 3), or (1, S, S, 3) where it stands still."""
    poses = scene.camera.invert()
    num_frames = 1 if scene.is_camera_still else scene.num_frames
    return scene.background(poses.at(np.arange(num_frames)[:, None, None], pixels))


def to_bytes(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def compute_flow(scene: Scene, pixels: NDArray[np.complex64], things: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How far (T - 1, 2, S, S), in pixels to the right and down, what is seen at t has gone at t + 1."""
    num_frames, size = things.shape[:2]
    flow = np.zeros((num_frames - 1, size, size), dtype=np.complex64)
    if not scene.is_camera_still:
        flow += scene.camera.step().at(np.arange(num_frames - 1)[:, None, None], pixels) - pixels
    for number, sprite in enumerate(scene.sprites, start=1):
        seen = find_positions(things[:-1] == number)
        points = pixels[seen.rows, seen.columns]
        flow[seen] = sprite.pose.step().at(seen.frames, points) - points
    return np.stack([flow.real, flow.imag], axis=1) * np.float32(size)


def find_boxes(masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Left, top, right, bottom (T, 4) of what is seen in masks (T, S, S): intervals [start, end), or zeros."""
    left, right = find_interval(np.any(masks, axis=1))
    top, bottom = find_interval(np.any(masks, axis=2))
    return np.stack([left, top, right, bottom], axis=1).astype(np.float32)


def find_interval(hits: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """From the first to the last hit of each row."""
    is_hit = hits.any(axis=1)
    start, end = hits.argmax(axis=1), hits.shape[1] - hits[:, ::-1].argmax(axis=1)
    return np.where(is_hit, start, 0), np.where(is_hit, end, 0)
