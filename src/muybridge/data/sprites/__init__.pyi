# The public names; __init__.py imports each when it is used.
from .appearance import SHAPES as SHAPES
from .datasets import SpriteDataset as SpriteDataset
from .datasets import SpriteStream as SpriteStream
from .files import write_sprites as write_sprites
from .making import SpriteClip as SpriteClip
from .making import sprite as sprite
from .motion import EASY as EASY
from .motion import HARD as HARD
from .settings import CLASS_SETS as CLASS_SETS
from .settings import MOTIONS as MOTIONS
from .settings import SpriteSettings as SpriteSettings
