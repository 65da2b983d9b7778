"""What sprites and backgrounds look like: shapes, patterns and colours as functions of a point.

Points are complex numbers in the thing's own coordinates, where a sprite's outline lies in the circle of radius 1. As a
surface carries its coordinates along, what is seen of it is the same in every frame, wherever it has moved.
"""

import colorsys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from muybridge.data.sprites.motion import make_direction

Values = NDArray[np.floating[Any]]
Points = NDArray[np.complex64]
Colour = NDArray[np.float32]

OUTLINE_WIDTH = 0.13  # of a sprite's radius


def disc(points: Points) -> Values:
    return np.abs(points) - 1


def ring(points: Points) -> Values:
    return np.abs(np.abs(points) - 0.7) - 0.3


def crescent(points: Points) -> Values:
    return np.maximum(np.abs(points) - 1, 0.75 - np.abs(points - 0.55))


def square(points: Points) -> Values:
    return box(points, 0.7, 0.7)


def bar(points: Points) -> Values:
    return box(points, 0.93, 0.36)


def cross(points: Points) -> Values:
    return np.minimum(box(points, 0.94, 0.34), box(points, 0.34, 0.94))


def triangle(points: Points) -> Values:
    return spikes(points, num_spikes=3, slope=np.pi / 6)


def star(points: Points) -> Values:
    return spikes(points, num_spikes=5, slope=np.pi / 10)


def box(points: Points, half_width: float, half_height: float) -> Values:
    return np.maximum(np.abs(points.real) - half_width, np.abs(points.imag) - half_height)


def spikes(points: Points, num_spikes: int, slope: float) -> Values:
    """A polygon with its tips on the circle; `slope` is the angle between a side and the ray to its tip."""
    sector = 2 * np.pi / num_spikes
    angle = np.abs((np.angle(points) + sector / 2) % sector - sector / 2)
    folded = np.abs(points) * np.exp(1j * angle) - 1
    return folded.real * np.float32(np.sin(slope)) + folded.imag * np.float32(np.cos(slope))


# Each gives how far outside its outline a point lies, negative inside: exactly, or nearly so beside corners.
SHAPES: dict[str, Callable[[Points], Values]] = {
    shape.__name__: shape for shape in (disc, ring, crescent, square, bar, cross, triangle, star)
}


# Each is about one wave to a length of 1, and lies between -1 and 1.
PATTERNS: dict[str, Callable[[Values, Values], Values]] = {
    "stripes": lambda x, _: np.sin(x),
    "checks": lambda x, y: np.sin(x) * np.sin(y),
    "waves": lambda x, y: np.sin(x + 1.5 * np.sin(y / 2)),
    "dots": lambda x, y: (np.cos(x) + np.cos(y)) / 2,
    "clouds": lambda x, y: (np.sin(x + np.cos(0.6 * y)) + np.sin(0.7 * y + 2 * np.cos(0.4 * x))) / 2,
}


@dataclass(frozen=True)
class Texture:
    """A pattern between two colours, under a light that changes slowly so that no turn looks like another."""

    pattern: str
    scale: np.complex64
    offset: np.complex64
    colours: tuple[Colour, Colour]
    light: np.complex64

    def __call__(self, points: Points) -> Values:
        """The colours (..., 3) of points (...,), in [0, 1]."""
        scaled = points * self.scale + self.offset
        mixture = 0.5 + 0.5 * np.tanh(2.5 * PATTERNS[self.pattern](scaled.real, scaled.imag))
        brightness = 1 + 0.2 * np.sin((points * self.light).real + self.offset.imag)
        first, second = self.colours
        return (first + mixture[..., None] * (second - first)) * brightness[..., None]


def draw_texture(
    generator: np.random.Generator, wave_length: float, light_length: float, colours: tuple[Colour, Colour]
) -> Texture:
    """A random pattern; the lengths of its waves and of its light are in the thing's own coordinates."""
    waves, shades = (2 * np.pi / length * make_direction(generator.random()) for length in (wave_length, light_length))
    offset = complex(*generator.uniform(0, 100, 2))
    pattern = list(PATTERNS)[generator.integers(len(PATTERNS))]
    return Texture(pattern, np.complex64(waves), np.complex64(offset), colours, np.complex64(shades))


# Where on the circle of hues, in turns, the colours lie that have plain names.
HUES = {
    "red": 0.0,
    "orange": 0.08,
    "yellow": 0.16,
    "green": 0.33,
    "cyan": 0.5,
    "blue": 0.65,
    "purple": 0.76,
    "pink": 0.9,
}


@dataclass(frozen=True)
class Look:
    """What a sprite looks like; `colours` are the names of those that its texture changes between."""

    shape: str
    texture: Texture
    outline: Colour
    colours: tuple[str, ...]

    def measure_outside(self, points: Points) -> Values:
        """How far outside the outline points lie, negative inside."""
        return SHAPES[self.shape](points)

    def colour_points(self, points: Points, outside: Values, softness: Values) -> Values:
        """The colours (N, 3) of points: the texture inside, the outline at the edge."""
        rim = compute_coverage(-OUTLINE_WIDTH - outside, softness)[:, None]
        return self.texture(points) * (1 - rim) + self.outline * rim


def compute_coverage(outside: Values, softness: Values) -> Values:
    """How much of a pixel, `softness` wide, is covered by what begins at `outside` 0: antialiasing."""
    return np.clip(0.5 - outside / softness, 0, 1)


def draw_looks(generator: np.random.Generator, num_colours: int = 2) -> tuple[Look, Texture]:
    """A vivid sprite, and a quiet and darker background. One colour is one with a plain name, in two shades."""
    shape = list(SHAPES)[generator.integers(len(SHAPES))]
    hue, step, background_hue = generator.random(3)
    value = generator.uniform(0.2, 0.5)
    hues = [hue, hue + 0.2 + 0.6 * step] if num_colours == 2 else [HUES[name_hue(hue)]] * 2
    vivid = (make_colour(hues[0], 0.8, 0.95), make_colour(hues[1], 0.8, 0.8 if num_colours == 2 else 0.6))
    quiet = (make_colour(background_hue, 0.5, value), make_colour(background_hue + 0.1, 0.5, value - 0.1))
    look = Look(
        shape=shape,
        texture=draw_texture(generator, generator.uniform(0.7, 1.1), 4.0, vivid),
        outline=make_colour(hues[0], 0.05, 1.0),
        colours=tuple(dict.fromkeys(map(name_hue, hues))),
    )
    return look, draw_texture(generator, generator.uniform(0.15, 0.4), 1.5, quiet)


def name_hue(hue: float) -> str:
    """The name of the colour nearest on the circle of hues."""

    def measure_distance(name: str) -> float:
        return abs((hue - HUES[name] + 0.5) % 1 - 0.5)

    return min(HUES, key=measure_distance)


def make_colour(hue: float, saturation: float, value: float) -> Colour:
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value), dtype=np.float32)
