"""A file becomes frames, or sound.

- `readers.py`: what every reader has in common. `reader.py`: `VideoReader`, the frames of a video; `segments.py`: those
  of a part of it; `sound.py`: `SoundReader`; `memory.py`: `MemoryReader`, for what is in memory already.
- `file.py`: `VideoFile` and `describe_video`, which open, describe and count, and need no torch.
- `source.py`: where the bytes of a file come from: a path, memory, a file object, an address.
- `sampling.py`: which frames make a clip.
- `errors.py`: what can be wrong with a video, and what a loader does about it.
- `decoder.py`, `index.py`, `bitstream.py`, `random_access.py`, `geometry.py`, `conversion.py`, `truncation.py`: how the
  readers work.

Names are imported when they are first used: `__init__.pyi` says where each is.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
