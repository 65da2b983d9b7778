"""All that is true of a clip, as targets."""

import numpy as np

from muybridge.data import targets
from muybridge.data.sprites.appearance import PATTERNS, SHAPES
from muybridge.data.sprites.rendering import Rendered, find_boxes
from muybridge.data.sprites.scenes import Scene
from muybridge.data.sprites.settings import SpriteSettings
from muybridge.data.sprites.words import list_answers, make_caption, make_questions
from muybridge.data.targets import Box, Boxes, Target


def make_truths(scene: Scene, rendered: Rendered, settings: SpriteSettings) -> dict[str, Target]:
    """All kinds of targets that a clip of sprites has."""
    return {**make_truths_in_words(scene, settings), **make_truths_in_pixels(scene, rendered)}


def make_truths_in_words(scene: Scene, settings: SpriteSettings) -> dict[str, Target]:
    """What is true of all frames together. The clip's scene is the pattern of its background."""
    classes = [sprite.look.shape if settings.are_classes_shapes else sprite.motion for sprite in scene.sprites]
    return {
        "label": targets.Label(classes[0]),  # that of the sprite in front
        "labels": targets.Labels(tuple(set(classes))),
        "scene": targets.Scene(scene.background.pattern),
        "caption": make_caption(scene),
        "questions": make_questions(scene),
    }


def make_truths_in_pixels(scene: Scene, rendered: Rendered) -> dict[str, Target]:
    """What is true of each frame. Depth counts from 1, the sprite in front, to the background behind all of them."""
    things = rendered.things
    return {
        "boxes": make_boxes(scene, rendered),
        "masks": targets.Masks(things),
        "depth": targets.Depth(np.where(things == 0, np.uint8(len(scene.sprites) + 1), things)),
        "flow": targets.Flow(rendered.flow),
    }


def make_boxes(scene: Scene, rendered: Rendered) -> Boxes:
    """The box of what is seen of each sprite in each frame; its label is its shape, its identity its place in depth."""
    boxes = []
    for number, sprite in enumerate(scene.sprites, start=1):
        for frame, (left, top, right, bottom) in enumerate(find_boxes(rendered.things == number).tolist()):
            if right > left:
                shape = sprite.look.shape
                boxes.append(Box(left, top, right, bottom, frame=frame, label=shape, identity=str(number)))
    return Boxes(tuple(boxes))


def list_names(settings: SpriteSettings) -> dict[str, tuple[str, ...]]:
    """The names that the targets of such clips use, by kind, in the order of their numbers."""
    return {
        "label": settings.labels,
        "labels": settings.labels,
        "scene": tuple(sorted(PATTERNS)),
        "boxes": tuple(sorted(SHAPES)),
        "questions": tuple(list_answers()),
    }
