"""`VideoReader`: the one place where the library opens a video."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from types import TracebackType
from typing import Any

import av
import numpy as np
import torch
from numpy.typing import NDArray

from muybridge.types import VideoMetadata
from muybridge.video.conversion import FrameConverter, Geometry, Size
from muybridge.video.decoder import Decoder, count_threads
from muybridge.video.errors import VideoError
from muybridge.video.index import MIN_TICK_SECONDS, FrameIndex, index_by_decoding, index_by_packets
from muybridge.video.random_access import FrameFinder, IndexMismatchError, check_sound
from muybridge.video.source import Source, make_source


class VideoReader:
    """The frames of a video: a path, bytes, a file object or an http(s) address.

        with VideoReader("clip.mp4") as reader:
            frames = reader.frames_at([0, 10, 20], size=128)

    Frame i is the i-th frame that decoding from the start displays, whatever the file says of itself. Frames
    come upright, as RGB in uint8 tensors (T, C, H, W). `size` scales them while they are converted, which is
    cheaper than scaling them afterwards: None for the video's own, a number for the shorter side, or (height,
    width).

    A reader of a path, bytes or an address can be pickled, and used on after a fork: the child opens the
    video anew.
    """

    def __init__(self, source: Any, *, num_threads: int | None = None) -> None:
        if num_threads is not None and num_threads < 1:
            raise ValueError(f"num_threads is {num_threads}; it must be 1 or more, or None to choose by the machine")
        self._start(make_source(source), num_threads)

    def _start(self, source: Source, num_threads: int | None) -> None:
        self._source = source
        self._num_threads = num_threads
        self._is_closed = False
        self._index: FrameIndex | None = None
        self._finder: FrameFinder | None = None
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
        self._is_decoder_used = False
        self._geometry = Geometry.of(first)
        self._is_interlaced = first.interlaced_frame
        self._header = _read_header(decoder, self._geometry)

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
            self._index = self._index_by_decoding(found) if isinstance(found, str) else found
        return self._index

    @property
    def frame_seconds(self) -> NDArray[np.float64]:
        """When each frame is displayed, counted from the first."""
        return self.index.seconds

    def __len__(self) -> int:
        """The exact number of frames."""
        return len(self.index)

    def frames_at(self, indices: Sequence[int] | NDArray[Any] | torch.Tensor, size: Size | None = None) -> torch.Tensor:
        """The frames of these numbers (T, C, H, W), in any order and as often as they are asked for.

        Negative numbers count from the end. Frames that lean on a damaged one are refused, as it is itself.
        """
        wanted = _whole_numbers(indices)
        try:
            return self._gather(self._checked(wanted), size)
        except IndexMismatchError:
            # The decoder contradicts the packets: from now on frames are counted, not looked up.
            self._index = self._index_by_decoding("decoding gives other frames than the packets promise")
            return self._gather(self._checked(wanted), size)

    def frames_at_seconds(
        self, seconds: Sequence[float] | NDArray[Any] | torch.Tensor, size: Size | None = None
    ) -> torch.Tensor:
        """The frames on display at these times (T, C, H, W), counted in seconds from the first frame."""
        times = np.asarray(seconds, dtype=np.float64).reshape(-1)
        duration = float(self.index.duration_seconds)
        outside = times[~((times >= 0) & (times <= duration + MIN_TICK_SECONDS))]
        if len(outside):
            raise IndexError(f"{outside[0]} s is not in {self._source.name}, whose frames lie in [0, {duration:.3f}] s")
        return self.frames_at(self.index.numbers_at(times), size)

    def batches(self, batch_size: int = 32, size: Size | None = None) -> Iterator[torch.Tensor]:
        """All frames in order, `batch_size` at a time (T, C, H, W); the last batch may be smaller."""
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be 1 or more")
        converter = FrameConverter(self._geometry, size)
        with closing(self._new_decoder(count_threads(self._num_threads))) as decoder:
            out = converter.allocate(batch_size)
            num_frames = 0
            for number, frame in enumerate(decoder.frames()):
                check_sound(frame, number, decoder)
                converter.convert(frame, out[num_frames])
                num_frames += 1
                if num_frames == batch_size:
                    yield out
                    out = converter.allocate(batch_size)
                    num_frames = 0
            if num_frames:
                yield out[:num_frames]

    def __iter__(self) -> Iterator[torch.Tensor]:
        """The frames one by one (C, H, W)."""
        return (frame for batch in self.batches(batch_size=1) for frame in batch)

    def close(self) -> None:
        """Closes the file; the reader cannot be used any more, but for its metadata."""
        self._is_closed = True
        self._finder = None
        self._decoder.close()
        self._source.close()

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"VideoReader({self._source.name!r})"

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
            return index_by_decoding(decoder, doubt)

    def _checked(self, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        total = len(self.index)
        outside = wanted[(wanted < -total) | (wanted >= total)]
        if len(outside):
            raise IndexError(f"frame {outside[0]} is not in {self._source.name}, which has {total} frames")
        return np.where(wanted < 0, wanted + total, wanted)

    def _gather(self, numbers: NDArray[np.int64], size: Size | None) -> torch.Tensor:
        converter = FrameConverter(self._geometry, size)
        out = converter.allocate(len(numbers))
        finder = self._live_finder()
        self._finder = None  # after an error its decoder would go on with frames that lean on the damaged ones
        for number, frame in finder.find(np.unique(numbers).tolist()):
            first, *repeats = np.flatnonzero(numbers == number).tolist()
            converter.convert(frame, out[first])
            for repeat in repeats:
                out[repeat] = out[first]
        self._finder = finder
        return out

    def _live_finder(self) -> FrameFinder:
        """The finder of the last call, or a new one where that failed or a fork left it in the parent."""
        if self._decoder.is_abandoned or self._finder is None:
            index = self.index
            if self._decoder.is_abandoned or self._is_closed or self._is_decoder_used:
                self._decoder.close()
                self._decoder = self._new_decoder()
            self._finder = FrameFinder(self._decoder, index)
            self._is_decoder_used = True
        return self._finder


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


def _whole_numbers(indices: Sequence[int] | NDArray[Any] | torch.Tensor) -> NDArray[np.int64]:
    numbers = np.asarray(indices).reshape(-1)
    if numbers.size and not np.issubdtype(numbers.dtype, np.integer):
        raise TypeError(f"frame indices must be whole numbers, not {numbers.dtype}: {indices!r}")
    return numbers.astype(np.int64)
