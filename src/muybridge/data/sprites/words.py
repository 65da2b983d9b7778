"""What happens in a scene, in words: captions, and questions with their answers."""

from collections import Counter
from itertools import permutations

from muybridge.data.sprites.appearance import HUES
from muybridge.data.sprites.scenes import Scene, Sprite
from muybridge.data.sprites.settings import MOTIONS
from muybridge.data.targets import Caption, QuestionAnswer, Questions

# What a sprite of each motion does.
VERBS = {
    "left": "moves left",
    "right": "moves right",
    "up": "moves up",
    "down": "moves down",
    "clockwise": "turns clockwise",
    "anticlockwise": "turns anticlockwise",
    "growing": "grows",
    "shrinking": "shrinks",
    "accelerate": "speeds up",
    "decelerate": "slows down",
    "bounce": "bounces",
    "orbit": "moves in a circle",
    "grow_then_turn": "grows, then turns",
    "turn_then_grow": "turns, then grows",
}
MAX_COUNT = 20  # answers have a number for each count up to this one


def make_caption(scene: Scene) -> Caption:
    """What moves how, and the same with what it moves over."""
    first, *others = [f"{name_sprite(sprite)} {VERBS[sprite.motion]}" for sprite in scene.sprites]
    text = ", ".join([first, *(f"behind it {other}" for other in others)])
    return Caption((text, f"{text}, over {scene.background.pattern}"))


def make_questions(scene: Scene) -> Questions:
    """How many there are, and of each shape that is there once, its colour and what it does."""
    pairs = [QuestionAnswer("how many shapes are there?", str(len(scene.sprites)))]
    counts = Counter(sprite.look.shape for sprite in scene.sprites)
    for sprite in scene.sprites:
        shape = sprite.look.shape
        if counts[shape] == 1:
            pairs.append(QuestionAnswer(f"which colour is the {shape}?", name_colours(sprite.look.colours)))
            pairs.append(QuestionAnswer(f"what does the {shape} do?", VERBS[sprite.motion]))
    return Questions(tuple(pairs))


def list_answers() -> list[str]:
    """All answers that there can be, in the order of their numbers."""
    pairs = [name_colours(pair) for pair in permutations(HUES, 2)]
    return [*map(str, range(1, MAX_COUNT + 1)), *HUES, *pairs, *(VERBS[motion] for motion in MOTIONS)]


def name_sprite(sprite: Sprite) -> str:
    """A sprite with its colours: "an orange star"."""
    colours = name_colours(sprite.look.colours)
    return f"{'an' if colours[0] in 'aeiou' else 'a'} {colours} {sprite.look.shape}"


def name_colours(colours: tuple[str, ...]) -> str:
    return " and ".join(colours)
