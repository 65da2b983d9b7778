"""The procedural set: textured shapes over textured backgrounds, with all that is true of them.

Infinite, the same for the same seed, made in about three milliseconds a clip of 16×64×64. Only the motion tells the
class, and no single frame does, by construction: `motion` says why. In the set "appearance" it is the other way round:
the shape is the class, and the motion is any.

- `settings`: which set of clips. `motion`: the classes of motion, as maps of a sprite's state. `appearance`: shapes,
  textures, colours.
- `scenes`: what is in clip number i, and where. `rendering`: a scene becomes frames, flow, and which pixel is whose;
  `sound`: its sound; `words`: captions, questions; `truths`: all that is true of it, as targets.
- `making`: clip number i with its truths. `datasets`: many of them for a DataLoader. `files`: the same as video files.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
