"""`VideoReader`: the frames of a video."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from muybridge.video.conversion import FrameConverter
from muybridge.video.decoder import count_threads
from muybridge.video.file import VideoFile
from muybridge.video.geometry import Size
from muybridge.video.index import MIN_TICK_SECONDS
from muybridge.video.random_access import FrameFinder, IndexMismatchError, check_undamaged
from muybridge.video.readers import Indices, Reader, check_indices


class VideoReader(VideoFile, Reader):
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

    modality = "video"
    scales_while_decoding = True

    def _open(self) -> None:
        super()._open()
        self._is_decoder_used = False
        self._finder: FrameFinder | None = None

    def frames_at(self, indices: Indices, size: Size | None = None) -> torch.Tensor:
        """The frames of these numbers (T, C, H, W), in any order and as often as they are asked for.

        Negative numbers count from the end. Frames that lean on a damaged one are refused, as it is itself.
        """
        return self.frames_at_sizes({size: indices})[size]

    def frames_at_sizes(self, indices_by_size: Mapping[Size | None, Indices]) -> dict[Size | None, torch.Tensor]:
        """Frames in several sizes, each decoded once; the numbers are those of `frames_at`."""
        try:
            return self._gather(self._check(indices_by_size))
        except IndexMismatchError:
            # The decoder contradicts the packets: from now on frames are counted, not looked up.
            self._index = self._index_by_decoding("decoding gives other frames than the packets promise")
            return self._gather(self._check(indices_by_size))

    def frames_at_seconds(
        self, seconds: Sequence[float] | NDArray[Any] | torch.Tensor, size: Size | None = None
    ) -> torch.Tensor:
        """The frames on display at these times (T, C, H, W), counted in seconds from the first frame."""
        times = np.asarray(seconds, dtype=np.float64).reshape(-1)
        duration = float(self.index.duration_seconds)
        outside = times[~((times >= 0) & (times <= duration + MIN_TICK_SECONDS))]
        if len(outside):
            raise IndexError(f"{outside[0]} s is not in {self.name}, whose frames lie in [0, {duration:.3f}] s")
        return self.frames_at(self.index.numbers_at(times), size)

    def batches(self, batch_size: int = 32, size: Size | None = None) -> Iterator[torch.Tensor]:
        """All frames in order, `batch_size` at a time (T, C, H, W); the last batch may be smaller."""
        check_batch_size(batch_size)
        converter = FrameConverter(self._geometry, size)
        with closing(self._new_decoder(count_threads(self._num_threads))) as decoder:
            batch = _allocate(converter, batch_size)
            num_frames = 0
            for number, frame in enumerate(decoder.frames()):
                check_undamaged(frame, number, decoder)
                # numpy copies in this thread; torch would wake its pool for each frame, which costs more than the copy.
                converter.convert(frame, batch[num_frames].numpy())
                num_frames += 1
                if num_frames == batch_size:
                    yield batch
                    batch = _allocate(converter, batch_size)
                    num_frames = 0
            if num_frames:
                yield batch[:num_frames]

    def __iter__(self) -> Iterator[torch.Tensor]:
        """The frames one by one (C, H, W)."""
        return (frame for batch in self.batches(batch_size=1) for frame in batch)

    def close(self) -> None:
        """Closes the file; the reader cannot be used any more, but for its metadata."""
        self._finder = None
        super().close()

    def _check(self, indices_by_size: Mapping[Size | None, Indices]) -> dict[Size | None, NDArray[np.int64]]:
        return {size: check_indices(indices, len(self), self.name) for size, indices in indices_by_size.items()}

    def _gather(self, numbers_by_size: dict[Size | None, NDArray[np.int64]]) -> dict[Size | None, torch.Tensor]:
        converters = {size: FrameConverter(self._geometry, size) for size in numbers_by_size}
        frames = {size: _allocate(converters[size], len(numbers)) for size, numbers in numbers_by_size.items()}
        finder = self._live_finder()
        self._finder = None  # after an error its decoder would go on with frames that lean on the damaged ones
        wanted = np.unique(np.concatenate([*numbers_by_size.values(), np.zeros(0, dtype=np.int64)]))
        for number, frame in finder.find(wanted.tolist()):
            for size, numbers in numbers_by_size.items():
                places = np.flatnonzero(numbers == number).tolist()
                if places:
                    converters[size].convert(frame, frames[size][places[0]].numpy())
                for repeat in places[1:]:
                    frames[size][repeat] = frames[size][places[0]]
        self._finder = finder
        return frames

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


def _allocate(converter: FrameConverter, num_frames: int) -> torch.Tensor:
    return torch.empty(converter.output_shape(num_frames), dtype=torch.uint8)


def check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be 1 or more")
