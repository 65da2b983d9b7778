# The public names; __init__.py imports each when it is used.
from .appearance import SHAPES as SHAPES
from .datasets import SpriteDataset as SpriteDataset, SpriteStream as SpriteStream
from .files import write_sprites as write_sprites
from .making import SpriteClip as SpriteClip, sprite as sprite
from .motion import EASY as EASY, HARD as HARD
from .settings import CLASS_SETS as CLASS_SETS, MOTIONS as MOTIONS, SpriteSettings as SpriteSettings
