"""`sprite`: clip number i of a set, with all that is true of it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from muybridge.data.sprites.rendering import Rendered, find_boxes, render
from muybridge.data.sprites.scenes import Scene, make_scene
from muybridge.data.sprites.settings import SpriteSettings, get_label_id
from muybridge.data.sprites.sound import SAMPLE_RATE, make_sound
from muybridge.data.sprites.truths import make_truths
from muybridge.data.targets import Target


@dataclass(frozen=True)
class SpriteClip:
    """A clip and all that is true of it.

    frames: uint8 (T, 3, H, W).
    label: the number of its class.
    flow: float (T - 1, 2, H, W), how far in pixels what is seen at t has gone at t + 1, u then v. Where a sprite jumps
        from one edge to the other, so does its flow.
    things: uint8 (T, H, W), what each pixel shows: 0 is the background, 1 the sprite in front, 2 the one behind it, …
    scene: what was drawn, and where.
    """

    frames: Tensor
    label: int
    flow: Tensor
    things: Tensor
    scene: Scene
    settings: SpriteSettings

    @cached_property
    def masks(self) -> Tensor:
        """Which pixels are those of the sprite in front: bool (T, H, W)."""
        return self.things == 1

    @cached_property
    def boxes(self) -> Tensor:
        """Left, top, right, bottom of what is seen of the sprite in front: float (T, 4), intervals [start, end)."""
        return torch.from_numpy(find_boxes(self.masks.numpy()))

    @cached_property
    def targets(self) -> dict[str, Target]:
        """All that is true of the clip, by kind, as a record has it: of all sprites."""
        rendered = Rendered(self.frames.numpy(), self.things.numpy(), self.flow.numpy())
        return make_truths(self.scene, rendered, self.settings)

    def make_sound(self, fps: float = 16, sample_rate: int = SAMPLE_RATE) -> Tensor:
        """A sound (N,) that goes with the motion: its pitch tells where sprites are, its loudness how fast."""
        return torch.from_numpy(make_sound(self.scene, fps, sample_rate))


def sprite(index: int, **settings: Any) -> SpriteClip:
    """Clip number `index` of the set that `SpriteSettings(**settings)` describes."""
    return make_clip(index, SpriteSettings(**settings))


def make_clip(index: int, settings: SpriteSettings) -> SpriteClip:
    scene = make_scene(index, settings)
    frames, things, flow = map(torch.from_numpy, render(scene, settings.size))
    return SpriteClip(frames, get_label_id(index, settings), flow, things, scene, settings)
