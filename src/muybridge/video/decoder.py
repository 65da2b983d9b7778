"""One open file and its decoder: packets in, displayed frames out."""

import ctypes
import os
import sys
import weakref
from collections import deque
from collections.abc import Container, Generator, Iterator
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING

import av
from av.codec.context import ThreadType
from av.stream import Disposition
from av.video.stream import VideoStream

from muybridge.video.errors import VideoError
from muybridge.video.source import Source
from muybridge.video.truncation import describe_truncation

MAX_THREADS = 4  # beyond, frame threads cost memory and, with several readers at once, time

# Text drawn as a video, and lists that make ffmpeg open other files.
FOREIGN_FORMATS = {"tty", "concat", "dash", "hls", "imf", "sdp", "vobsub", "webm_dash_manifest"}

if TYPE_CHECKING:
    VideoPacket = av.Packet[VideoStream]
else:  # at run time the class takes no parameter
    VideoPacket = av.Packet


class Decoder:
    """A file opened at its best video stream, read frame by frame from the start or a keyframe on."""

    def __init__(self, source: Source, *, num_threads: int = 1) -> None:
        self.source = source
        self.num_threads = num_threads
        self.is_abandoned = False
        self._open()
        _open_decoders.add(self)

    def _open(self) -> None:
        self.container = open_container(self.source)
        self.stream = _choose_stream(self.container, self.source)
        self.context = self.stream.codec_context
        self.context.thread_count = self.num_threads
        self.context.thread_type = ThreadType.FRAME if self.num_threads > 1 else ThreadType.SLICE
        self.num_frames_given = 0  # since the start or the last seek
        self.last_packet_pts: int | None = None
        self.skipped_pts: set[int] = set()  # of packets that went by undecoded since then
        self._packets = self._demux()
        self._ready: deque[av.VideoFrame] = deque()
        self.reorder_depth: int = self.context.reorder_depth

    @property
    def time_base(self) -> Fraction:
        return self.stream.time_base or Fraction(1, av.time_base)

    def close(self) -> None:
        if not self.is_abandoned:
            self._packets.close()
            self._ready.clear()
            self.container.close()

    def restart(self) -> None:
        """Goes to the start; opening again is the one way that works for every container."""
        self.close()
        self._open()

    def abandon(self) -> None:
        """Forgets the file in a forked child without freeing it.

        The threads of the decoder did not come along, and freeing it would wait for them for ever.
        """
        self.is_abandoned = True
        for thing in (self.container, self.stream, self.context, self._packets):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))

    def packets(self) -> Iterator[VideoPacket]:
        """The packets from here on in the order of the file, undecoded."""
        return (packet for packet in self._packets if packet.size)  # the empty one at the end flushes a decoder

    def frames(self) -> Iterator[av.VideoFrame]:
        """The displayed frames from here on."""
        while (frame := self.next_frame()) is not None:
            yield frame

    def peek_frame(self) -> av.VideoFrame | None:
        """The frame that `next_frame` will give."""
        while not self._ready:
            packet = next(self._packets, None)
            if packet is None:
                return None
            self._decode(packet)
        return self._ready[0]

    def next_frame(self, wanted: Container[int] | None = None) -> av.VideoFrame | None:
        """The next displayed frame, or None at the end.

        With `wanted`, frames at other times that no frame leans on are passed over undecoded.
        """
        if self.is_abandoned:
            raise RuntimeError(f"{self.source.name}: a pass begun before a fork cannot go on in the child")
        while not self._ready:
            packet = next(self._packets, None)
            if packet is None:
                return None
            if wanted is not None and packet.pts is not None:
                self._skip_unless(packet.pts in wanted, packet.pts)
            self._decode(packet)
        self.num_frames_given += 1
        return self._ready.popleft()

    def seek(self, timestamp: int) -> VideoPacket | None:
        """Goes to a keyframe at or before `timestamp`; returns the next packet, or None where that fails."""
        self._packets.close()
        self._ready.clear()
        self.skipped_pts.clear()
        self.num_frames_given = 0
        try:
            self.container.seek(timestamp, stream=self.stream)
            # Flushing forgets how far frames are reordered, and a decoder that learns it anew drops some.
            self.context.reorder_depth = self.reorder_depth
            packet = next(self.container.demux(self.stream), None)
        except av.FFmpegError:
            return None
        self._packets = self._demux(packet)
        return packet

    def _demux(self, first: VideoPacket | None = None) -> Generator[VideoPacket]:
        if first is not None:
            yield first
        try:
            yield from self.container.demux(self.stream)
        except av.FFmpegError as error:
            raise VideoError(self.source.name, f"reading fails: {describe_error(error)}") from error

    def _decode(self, packet: VideoPacket) -> None:
        is_flush = packet.size == 0 and packet.pts is None and packet.dts is None
        if packet.size == 0 and not is_flush:  # an AVI's way to say that the frame before stays
            return
        try:
            self._ready.extend(packet.decode())
        except av.FFmpegError as error:
            reason = f"decoding fails {self._describe_place(packet)}: {describe_error(error)}"
            raise VideoError(self.source.name, reason, "the file is damaged") from error
        self.last_packet_pts = packet.pts if not is_flush else self.last_packet_pts

    def _describe_place(self, packet: VideoPacket) -> str:
        return "at the end" if packet.pts is None else f"near {float(packet.pts * self.time_base):.2f} s"

    def _skip_unless(self, is_wanted: bool, pts: int) -> None:
        self.context.skip_frame = "DEFAULT" if is_wanted else "NONREF"
        if not is_wanted:
            self.skipped_pts.add(pts)


def count_threads(num_threads: int | None) -> int:
    """The threads to decode with: what was asked for, one in a DataLoader worker, a few elsewhere.

    Two for a processor, because they wait for each other's frames, and for their turn while frames are converted.
    """
    if num_threads is not None:
        return num_threads
    return 1 if _is_loader_worker() else min(2 * (os.cpu_count() or 1), MAX_THREADS)


def _is_loader_worker() -> bool:
    """Whether this is a process of a DataLoader; where torch is not loaded, it is none, and need not be loaded."""
    data = sys.modules.get("torch.utils.data")
    return data is not None and data.get_worker_info() is not None


def open_container(source: Source) -> av.container.InputContainer:
    _check_bytes(source)
    try:
        container = av.open(
            source.open_for_ffmpeg(),
            metadata_errors="replace",  # a title that is not UTF-8 says nothing about the frames
            # A file never makes us open another one or an address: ffmpeg looks at its format before following it.
            container_options={"protocol_whitelist": "file", "format_whitelist": _allowed_formats()},
        )
    except av.ArgumentError as error:
        reason = "this is not a video, or its headers are broken; text and lists of other files are not read"
        raise VideoError(source.name, reason) from error
    except av.FFmpegError as error:
        raise VideoError(source.name, f"this is not a video that ffmpeg can read: {describe_error(error)}") from error
    return container


@cache
def _allowed_formats() -> str:
    """Every format that ffmpeg reads but the foreign ones, as its option takes them."""
    return ",".join(sorted(av.formats_available - FOREIGN_FORMATS))


def _check_bytes(source: Source) -> None:
    with source.open_file() as file:
        if not file.read(1):
            raise VideoError(source.name, "the file is empty")
        missing = describe_truncation(file)
    if missing:
        raise VideoError(source.name, f"the file is truncated: {missing}", "download or copy it again")


def _choose_stream(container: av.container.InputContainer, source: Source) -> VideoStream:
    """ffmpeg's choice among the moving pictures; the others are not even read."""
    moving = _find_moving_pictures(container)
    if not moving:
        kinds = sorted({stream.type for stream in container.streams})
        is_undecodable = any(stream.codec_context is None for stream in container.streams.video)
        container.close()
        which = "ffmpeg has no decoder for its video"
        what = which if is_undecodable else f"it has {' and '.join(kinds) or 'no'} streams"
        raise VideoError(source.name, f"there is no video stream that can be decoded: {what}")
    best = container.streams.best("video")
    chosen = next((stream for stream in moving if stream is best), moving[0])
    for stream in container.streams:
        if stream is not chosen:
            stream.discard = av.stream.Discard.all
    return chosen


def has_moving_pictures(container: av.container.InputContainer) -> bool:
    """Whether there is a video, and not only a picture of an album's cover."""
    return bool(_find_moving_pictures(container))


def _find_moving_pictures(container: av.container.InputContainer) -> list[VideoStream]:
    decodable = [stream for stream in container.streams.video if stream.codec_context is not None]
    return [stream for stream in decodable if not stream.disposition & Disposition.attached_pic]


def describe_error(error: av.FFmpegError) -> str:
    return error.strerror or str(error)


_open_decoders: weakref.WeakSet[Decoder] = weakref.WeakSet()


def _abandon_all() -> None:
    for decoder in list(_open_decoders):
        decoder.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
