"""How sprites move, so that no single frame tells it.

The state of a sprite is its position in a disc, its angle, and its size between a smallest and a largest one. It starts
uniformly distributed, and every motion maps the states to themselves preserving volume: what leaves on one side comes
in on the other, and the largest becomes the smallest. So in each frame of each class the state is uniformly
distributed again, and independent of what the sprite looks like. No motion without such jumps could do that: what
moves right is, without them, farther right at the end than what moves left.

Shapes: T frames. Positions and directions are complex numbers, real to the right and imaginary downwards, so that
a growing angle turns clockwise.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Points = NDArray[np.complex128]


@dataclass(frozen=True)
class State:
    """Where a sprite is, in each frame (T,) or once for all.

    position: in the disc of radius 1.
    turn: the angle in turns, in [0, 1).
    growth: in [0, 1), from the smallest to the largest.
    """

    position: Points
    turn: Reals
    growth: Reals


class Course(NamedTuple):
    """The numbers that a motion needs: times (T,) from 0 to 1, how far it goes, where to, and which way it turns."""

    time: Reals
    reach: float
    heading: complex
    spin: float


Motion = Callable[[State, Course], State]

RIGHT, DOWN = 1 + 0j, 1j
REACHES = (0.5, 0.8)  # of a chord, or of the way from small to large: seen in a few frames, and never two jumps
TURN = 0.5  # how much of a turn one reach is: at twice that, edges go so far in a frame that small networks lose them


def draw_state(generator: np.random.Generator) -> State:
    """A state from the uniform distribution."""
    radius, angle, turn, growth = generator.random(4)
    position = np.sqrt(radius) * make_direction(angle)
    return State(np.array(position), np.array(turn), np.array(growth))


def draw_course(generator: np.random.Generator, num_frames: int) -> Course:
    heading, spin = make_direction(generator.random()), generator.choice([-1.0, 1.0])
    return Course(np.linspace(0, 1, num_frames), generator.uniform(*REACHES), heading, spin)


def make_direction(turn: float) -> complex:
    return complex(np.exp(2j * np.pi * turn))


def wrap(phase: Reals) -> Reals:
    """Phases that pass 1 go on at 0."""
    return phase % 1


def reflect(phase: Reals) -> Reals:
    """Phases that reach 1 turn round, and at 0 again."""
    return 1 - np.abs(1 - phase % 2)


def move(state: State, distance: Reals, heading: complex, at_the_edge: Callable[[Reals], Reals] = wrap) -> State:
    """Moves along the chord through the position; distances are in chords, which keeps the distribution uniform."""
    position = state.position / heading
    half_chord = np.sqrt(1 - np.minimum(position.imag**2, 1 - 1e-9))
    phase = (1 + position.real / half_chord) / 2
    along = (2 * at_the_edge(phase + distance) - 1) * half_chord
    return replace(state, position=(along + 1j * position.imag) * heading)


def turn(state: State, turns: Reals) -> State:
    return replace(state, turn=wrap(state.turn + turns))


def grow(state: State, growth: Reals) -> State:
    return replace(state, growth=wrap(state.growth + growth))


def accelerate(state: State, course: Course) -> State:
    return move(state, 1.5 * course.reach * course.time**2, course.heading)


def decelerate(state: State, course: Course) -> State:
    return move(state, 1.5 * course.reach * (1 - (1 - course.time) ** 2), course.heading)


def bounce(state: State, course: Course) -> State:
    """Goes straight, and turns round at the edge at least once.

    A heading and its opposite are equally likely: together they are uniform over the way there and the way back.
    """
    return move(state, 2 * course.reach * course.time, course.heading, reflect)


def orbit(state: State, course: Course) -> State:
    angle = 2 * np.pi * course.spin * 1.25 * course.reach * course.time
    return replace(state, position=state.position * np.exp(1j * angle))


def grow_then_turn(state: State, course: Course) -> State:
    first, second = split_halves(course)
    return turn(grow(state, first), TURN * course.spin * second)


def turn_then_grow(state: State, course: Course) -> State:
    first, second = split_halves(course)
    return grow(turn(state, TURN * course.spin * first), second)


def split_halves(course: Course) -> tuple[Reals, Reals]:
    """How far an event in the first half of the time and one in the second have gone."""
    return tuple(0.6 * course.reach * np.clip(2 * course.time - start, 0, 1) for start in (0, 1))  # type: ignore[return-value]


EASY: dict[str, Motion] = {
    "left": lambda state, course: move(state, course.reach * course.time, -RIGHT),
    "right": lambda state, course: move(state, course.reach * course.time, RIGHT),
    "up": lambda state, course: move(state, course.reach * course.time, -DOWN),
    "down": lambda state, course: move(state, course.reach * course.time, DOWN),
    "clockwise": lambda state, course: turn(state, TURN * course.reach * course.time),
    "anticlockwise": lambda state, course: turn(state, -TURN * course.reach * course.time),
    "growing": lambda state, course: grow(state, course.reach * course.time),
    "shrinking": lambda state, course: grow(state, -course.reach * course.time),
}

HARD: dict[str, Motion] = {
    motion.__name__: motion for motion in (accelerate, decelerate, bounce, orbit, grow_then_turn, turn_then_grow)
}
