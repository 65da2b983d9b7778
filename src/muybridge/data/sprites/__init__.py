"""The procedural set: textured shapes over textured backgrounds, where only the motion tells the class.

Infinite, the same for the same seed, made in about three milliseconds a clip of 16×64×64, with true optical flow, boxes
and masks. No single frame tells the class, by construction: `motion` says why. In the set "appearance" it is the other
way round: the shape is the class, and the motion is any.

- `motion`: the classes of motion, as maps of a sprite's state. `appearance`: shapes, textures, colours.
- `rendering`: a scene becomes frames, flow, boxes and masks.
- `clips`: clip number i of a set, from its settings. `datasets`: many of them for a DataLoader.
- `files`: the same as video files.
"""

from muybridge.data.sprites.appearance import SHAPES
from muybridge.data.sprites.clips import CLASS_SETS, MOTIONS, SpriteClip, SpriteSettings, sprite
from muybridge.data.sprites.datasets import SpriteDataset, SpriteStream
from muybridge.data.sprites.files import write_sprites
from muybridge.data.sprites.motion import EASY, HARD

__all__ = [
    "CLASS_SETS",
    "EASY",
    "HARD",
    "MOTIONS",
    "SHAPES",
    "SpriteClip",
    "SpriteDataset",
    "SpriteSettings",
    "SpriteStream",
    "sprite",
    "write_sprites",
]
