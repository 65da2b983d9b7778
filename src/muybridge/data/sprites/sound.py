"""The sound of a scene: each sprite is a tone that goes with its motion, the same for the same scene.

Its pitch rises with its height in the picture and to the right, and falls with its size; it is as loud as its surface
is fast. Shapes: T frames, N samples.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from muybridge.data.sprites.scenes import Pose, Scene

SAMPLE_RATE = 16_000
MIDDLE_HZ = 440.0  # of a sprite of a usual size in the middle of the picture
USUAL_RADIUS = 0.23  # in the picture's sides
OCTAVES_UP, OCTAVES_RIGHT = 2.0, 1.0  # over the whole picture
LOUD_SPEED = 0.1  # in the picture's sides a frame: faster is not louder
LOUDEST = 0.5  # of full scale, all sprites together

Reals = NDArray[np.floating[Any]]


def make_sound(scene: Scene, fps: float, sample_rate: int = SAMPLE_RATE) -> NDArray[np.float32]:
    """The sound (N,) of a scene shown at `fps` frames a second, in [-1, 1], as long as the frames are on display."""
    num_samples = round(scene.num_frames / fps * sample_rate)
    times = np.arange(num_samples) * fps / sample_rate  # in frames
    tones = [make_tone(sprite.pose, times, fps) for sprite in scene.sprites]
    return (LOUDEST / len(tones) * np.sum(tones, axis=0)).astype(np.float32)


def make_tone(pose: Pose, times: Reals, fps: float) -> Reals:
    """The tone (N,) of a sprite at times in frames: a frame's pitch and loudness change steadily to the next one's."""
    frames = np.arange(len(pose.scale))
    pitch = np.interp(times, frames, compute_pitch(pose))
    loudness = np.interp(times, frames, compute_loudness(pose))
    step_seconds = np.diff(times, prepend=0.0) / fps
    return loudness * np.sin(2 * np.pi * np.cumsum(pitch * step_seconds))


def compute_pitch(pose: Pose) -> Reals:
    """The pitch (T,) of each frame in hertz."""
    octaves = OCTAVES_RIGHT * pose.centre.real - OCTAVES_UP * pose.centre.imag
    return MIDDLE_HZ * 2**octaves * USUAL_RADIUS / np.abs(pose.scale)


def compute_loudness(pose: Pose) -> Reals:
    """How loud (T,) each frame is, in [0, 1]: as the sprite's surface is fast on its way to the next frame."""
    if len(pose.scale) == 1:
        return np.zeros(1)
    shift, change = np.diff(pose.centre), np.diff(pose.scale)
    speed = np.sqrt(np.abs(shift) ** 2 + np.abs(change) ** 2 / 2)  # the root of the mean square over its disc
    return np.minimum(np.append(speed, speed[-1]) / LOUD_SPEED, 1)
