"""Frames by their numbers, out of a decoder that only goes forward from keyframes."""

from collections.abc import Iterator, Sequence

import av

from muybridge.video.decoder import Decoder
from muybridge.video.errors import VideoError
from muybridge.video.index import FrameIndex, Keyframe

MIN_PACKETS_SAVED = 8  # a seek empties the decoder, so passing over fewer packets is not worth one


class IndexMismatchError(Exception):
    """The decoder gave other frames than the packets promised."""


class FrameFinder:
    """Finds frames with one decoder that stays where the last search left it."""

    def __init__(self, decoder: Decoder, index: FrameIndex) -> None:
        self.decoder = decoder
        self.index = index
        self._last_time: int | None = None

    def find(self, numbers: Sequence[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        """The frames of rising `numbers`, each with its number."""
        if not self.index.keyframes:
            yield from self._find_by_counting(numbers)
        else:
            yield from self._find_by_time(numbers)

    def _find_by_counting(self, numbers: Sequence[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        for number in numbers:
            place = self.index.first + number
            if self.decoder.num_frames_given > place:
                self.decoder.restart()
            yield number, self._pass_to(place)

    def _pass_to(self, place: int) -> av.VideoFrame:
        """The frame at this place in the file."""
        # Later frames lean on those that are passed, and show their damage without being marked themselves.
        while (frame := self.decoder.next_frame()) is not None:
            passed = self.decoder.num_frames_given - 1
            check_undamaged(frame, passed, self.decoder)
            if passed == place:
                return frame
        raise VideoError(self.decoder.source.name, f"decoding ended before frame {place}")

    def _find_by_time(self, numbers: Sequence[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        times = [int(self.index.timestamps[number]) for number in numbers]
        wanted = set(times)
        for number, time in zip(numbers, times, strict=True):
            keyframe = self.index.keyframe_before(time)
            if not self._lies_ahead(time) or self._packets_until(keyframe) > MIN_PACKETS_SAVED:
                self._go_to(keyframe)
            yield number, self._advance(time, wanted)

    def _lies_ahead(self, time: int) -> bool:
        passed = self._last_time is not None and time <= self._last_time
        return not passed and time not in self.decoder.skipped_pts

    def _packets_until(self, keyframe: Keyframe) -> int:
        last = self.decoder.last_packet_pts
        if last is None:
            return keyframe.position
        if last not in self.index.positions:
            raise IndexMismatchError
        return keyframe.position - self.index.positions[last]

    def _go_to(self, keyframe: Keyframe) -> None:
        """Seeks to a keyframe, or to one before it if the container lands there; at worst to the start."""
        self._last_time = None
        for timestamp in (keyframe.dts, keyframe.pts):
            packet = None if timestamp is None else self.decoder.seek(timestamp)
            landed = None if packet is None else self.index.keyframe_of(packet)
            if landed is not None and landed.position <= keyframe.position:
                return
        self.decoder.restart()

    def _advance(self, time: int, wanted: set[int]) -> av.VideoFrame:
        """The frame at `time`, every one since the keyframe being sound."""
        while True:
            frame = self.decoder.next_frame(wanted)
            if frame is None or frame.pts is None or frame.pts not in self.index.positions:
                raise IndexMismatchError
            if self._last_time is not None and frame.pts <= self._last_time:
                raise IndexMismatchError
            self._last_time = frame.pts
            if frame.pts > time or frame.is_corrupt:
                raise IndexMismatchError
            if frame.pts == time:
                return frame


def check_undamaged(frame: av.VideoFrame, number: int, decoder: Decoder) -> None:
    if frame.is_corrupt:
        raise VideoError(decoder.source.name, f"frame {number} is damaged")
