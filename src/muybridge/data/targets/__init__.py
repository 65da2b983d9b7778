"""What is known of a clip: one class a kind, and one dict of all.

- `names`: a label, a set of labels, a scene, a domain. `boxes`: boxes in time. `arrays`: masks, depth, flow.
  `words`: captions, questions with answers.
- `base`: what each kind has, and the rule by which targets become batches. `registry`: how a kind becomes known.
- `batches`: targets of records become items and batches. `checking`: whether they are there and right.

A kind more is a file more with a class under `@register_target`, imported here.
"""

from muybridge.data.targets.arrays import Depth, Flow, Masks
from muybridge.data.targets.base import NO_LABEL, Target
from muybridge.data.targets.batches import collate_targets, encode_targets
from muybridge.data.targets.boxes import Box, Boxes
from muybridge.data.targets.checking import find_target_faults
from muybridge.data.targets.names import Domain, Label, Labels, Scene
from muybridge.data.targets.registry import TARGETS, get_target, register_target
from muybridge.data.targets.rows import read_targets, write_targets
from muybridge.data.targets.words import Caption, QuestionAnswer, Questions

__all__ = [
    "NO_LABEL",
    "TARGETS",
    "Box",
    "Boxes",
    "Caption",
    "Depth",
    "Domain",
    "Flow",
    "Label",
    "Labels",
    "Masks",
    "QuestionAnswer",
    "Questions",
    "Scene",
    "Target",
    "collate_targets",
    "encode_targets",
    "find_target_faults",
    "get_target",
    "read_targets",
    "register_target",
    "write_targets",
]
