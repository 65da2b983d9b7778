"""Which set of clips: its classes, their size, how many sprites."""

from collections.abc import Iterable
from dataclasses import dataclass

from muybridge.data.sprites.appearance import SHAPES
from muybridge.data.sprites.motion import EASY, HARD, Motion

MOTIONS: dict[str, Motion] = {**EASY, **HARD}

# In the set "appearance" the shape tells the class, and the motion is any of the easy ones.
CLASS_SETS: dict[str, tuple[str, ...]] = {
    "easy": tuple(EASY),
    "hard": tuple(HARD),
    "all": tuple(MOTIONS),
    "appearance": tuple(SHAPES),
}


@dataclass(frozen=True)
class SpriteSettings:
    """Which set of clips.

    classes: the name of a set in `CLASS_SETS`, or motions, or shapes. Whatever their order here, labels are numbered by
        the alphabet, as in a folder of class folders.
    size: pixels a side.
    camera_motion: whether the camera pans, rolls and zooms a little; motions are then those before the background.
    num_sprites: how many sprites a clip has, one behind the other. The one in front tells the label.
    num_colours: 2, or 1 for sprites of one colour that has a plain name.
    """

    classes: str | Iterable[str] = "easy"
    num_frames: int = 16
    size: int = 64
    seed: int = 0
    camera_motion: bool = False
    num_sprites: int = 1
    num_colours: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", sort_classes(self.classes))
        for name, least in (("num_frames", 1), ("size", 16), ("seed", 0), ("num_sprites", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be {least} or more")
        if self.num_sprites > MAX_SPRITES:
            raise ValueError(f"num_sprites is {self.num_sprites}; it must be {MAX_SPRITES} or less")
        if self.num_colours not in (1, 2):
            raise ValueError(f"num_colours is {self.num_colours}; it must be 1 or 2")

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their numbers."""
        return tuple(self.classes)

    @property
    def are_classes_shapes(self) -> bool:
        return self.labels[0] in SHAPES


MAX_SPRITES = 254  # a byte tells how deep a pixel lies


def sort_classes(classes: str | Iterable[str]) -> tuple[str, ...]:
    if isinstance(classes, str) and classes not in CLASS_SETS:
        raise ValueError(f"classes is {classes!r}; the sets are {', '.join(CLASS_SETS)}")
    names = CLASS_SETS[classes] if isinstance(classes, str) else tuple(classes)
    if not names or not (set(names) <= set(MOTIONS) or set(names) <= set(SHAPES)):
        known = f"motions ({', '.join(MOTIONS)}) or of shapes ({', '.join(SHAPES)})"
        raise ValueError(f"classes is {names}; it must name some of the {known}")
    return tuple(sorted(set(names)))


def get_label_id(index: int, settings: SpriteSettings) -> int:
    """The number of a clip's class. Classes take turns, so that any run of clips is balanced."""
    return index % len(settings.labels)
