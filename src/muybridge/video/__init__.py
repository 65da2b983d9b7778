"""A file becomes frames.

- `reader.py`: `VideoReader`, the one place where a file is opened; `source.py` is where its bytes come from.
- `sampling.py`: which frames make a clip.
- `errors.py`: what can be wrong with a video, and what a loader does about it.
- `decoder.py`, `index.py`, `bitstream.py`, `random_access.py`, `conversion.py`, `truncation.py`: how the
  reader works.
"""

from muybridge.video.errors import ErrorPolicy, VideoError
from muybridge.video.reader import VideoReader
from muybridge.video.sampling import (
    at_fps,
    at_times,
    consecutive_clips,
    dense,
    random_clip,
    regular_clips,
    regular_clips_at_times,
    segments,
    strided,
    uniform,
)

__all__ = [
    "ErrorPolicy",
    "VideoError",
    "VideoReader",
    "at_fps",
    "at_times",
    "consecutive_clips",
    "dense",
    "random_clip",
    "regular_clips",
    "regular_clips_at_times",
    "segments",
    "strided",
    "uniform",
]
