from .errors import ErrorPolicy, VideoError
from .file import VideoFile, describe_video
from .memory import MemoryReader
from .reader import VideoReader
from .readers import Reader
from .sampling import (
    find_frames_on_display,
    resample_frames,
    sample_around,
    sample_consecutive,
    sample_dense,
    sample_interleaved,
    sample_segments,
    sample_strided,
    sample_uniform,
)
from .segments import SegmentReader
from .sound import SoundReader

__all__ = [
    "ErrorPolicy",
    "MemoryReader",
    "Reader",
    "SegmentReader",
    "SoundReader",
    "VideoError",
    "VideoFile",
    "VideoReader",
    "describe_video",
    "find_frames_on_display",
    "resample_frames",
    "sample_around",
    "sample_consecutive",
    "sample_dense",
    "sample_interleaved",
    "sample_segments",
    "sample_strided",
    "sample_uniform",
]
