"""`VideoFile`: a video that is opened, described and counted, but of which no frame is shown. It needs no torch."""

from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from muybridge.types import VideoMetadata
from muybridge.video.decoder import Decoder, count_threads
from muybridge.video.errors import VideoError
from muybridge.video.geometry import Geometry
from muybridge.video.index import FrameIndex, index_by_decoding, index_by_packets
from muybridge.video.readers import Closable
from muybridge.video.source import Source, make_source


def describe_video(source: Any) -> VideoMetadata:
    """What is known of a video, its frames counted: a path, bytes, a file object or an http(s) address."""
    with VideoFile(source) as file:
        len(file)  # counts the frames, where the header only claims a number
        return file.metadata


class VideoFile(Closable):
    """A video, its metadata and the times of its frames."""

    def __init__(self, source: Any, *, num_threads: int | None = None) -> None:
        if num_threads is not None and num_threads < 1:
            raise ValueError(f"num_threads is {num_threads}; it must be 1 or more, or None to choose by the machine")
        self._start(make_source(source), num_threads)

    def _start(self, source: Source, num_threads: int | None) -> None:
        self._source = source
        self._num_threads = num_threads
        self._is_closed = False
        self._index: FrameIndex | None = None
        try:
            self._open()
        except VideoError:
            self._source.close()
            raise

    def _open(self) -> None:
        """Decodes one frame: whether any can be and how it is turned, nothing else tells."""
        decoder = Decoder(self._source, num_threads=self._num_threads or 1)
        try:
            first = decoder.peek_frame()
            if first is None:
                raise VideoError(self._source.name, "no frame can be decoded")
        except VideoError:
            decoder.close()
            raise
        self._decoder = decoder
        self._geometry = Geometry.from_frame(first)
        self._is_interlaced = first.interlaced_frame
        self._first_timestamp = first.pts or 0
        self._header = _read_header(decoder, self._geometry)

    @property
    def name(self) -> str:
        """How errors call the video: its path or address."""
        return self._source.name

    @property
    def metadata(self) -> VideoMetadata:
        """What is known so far; the number of frames is exact after `len(reader)` or `frames_at`."""
        if self._index is None:
            return self._header
        duration = self._index.duration_seconds
        return replace(
            self._header,
            num_frames=len(self._index),
            is_num_frames_exact=True,
            fps=float(len(self._index) / duration),
            duration_seconds=float(duration),
        )

    @property
    def index(self) -> FrameIndex:
        """When each frame is displayed, from the packets or, where they mislead, by decoding; made once."""
        if self._index is None:
            with closing(self._new_decoder()) as decoder:
                found = index_by_packets(decoder, is_interlaced=self._is_interlaced)
            self._index = self._index_by_decoding(found) if isinstance(found, str) else self._narrow(found)
        return self._index

    @property
    def first_seconds(self) -> Fraction:
        """When the first frame of the file comes on display, by the file's own clock, which its sound follows too."""
        return self._first_timestamp * self._decoder.time_base

    @property
    def frame_seconds(self) -> NDArray[np.float64]:
        """When each frame is displayed, counted from the first."""
        return self.index.seconds

    @property
    def edges_seconds(self) -> NDArray[np.float64]:
        """When each frame comes on display, and last of all when the last one goes: one more than there are frames."""
        return self.index.edges_seconds

    def __len__(self) -> int:
        """The exact number of frames."""
        return len(self.index)

    def close(self) -> None:
        """Closes the file; it cannot be read any more, but for its metadata."""
        self._is_closed = True
        self._decoder.close()
        self._source.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._source.name!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self._source, "num_threads": self._num_threads, "index": self._index}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._start(state["source"], state["num_threads"])
        self._index = state["index"]

    def _new_decoder(self, num_threads: int | None = None) -> Decoder:
        if self._is_closed:
            raise ValueError(f"the reader of {self._source.name} is closed")
        return Decoder(self._source, num_threads=num_threads or self._num_threads or 1)

    def _index_by_decoding(self, doubt: str) -> FrameIndex:
        with closing(self._new_decoder(count_threads(self._num_threads))) as decoder:
            return self._narrow(index_by_decoding(decoder, doubt))

    def _narrow(self, index: FrameIndex) -> FrameIndex:
        """The part of the file's index that is read: all of it here."""
        return index


def _read_header(decoder: Decoder, geometry: Geometry) -> VideoMetadata:
    """What the file says of itself, without reading on."""
    stream, container = decoder.stream, decoder.container
    fps = stream.average_rate or stream.guessed_rate
    seconds = (
        stream.duration * decoder.time_base if stream.duration else Fraction(container.duration or 0, av.time_base)
    )
    height, width = geometry.displayed_size
    return VideoMetadata(
        num_frames=max(0, stream.frames or round(seconds * (fps or 0))),  # a damaged header may say less than nothing
        is_num_frames_exact=False,
        fps=float(fps) if fps else None,
        duration_seconds=float(seconds) if seconds > 0 else None,
        height=height,
        width=width,
        rotation_degrees=geometry.rotation_degrees,
        codec=stream.codec_context.name,
        container=container.format.name,
    )
