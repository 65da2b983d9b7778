"""Which frames a video has: when each is displayed, and from which keyframe it can be decoded."""

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from muybridge.video.bitstream import holds_one_frame, is_clean_start
from muybridge.video.decoder import Decoder, VideoPacket

# Codecs of which each packet in a container is one displayed frame. Of others (vp8 hides frames among its
# packets, old codecs drop some) only decoding tells how many frames there are.
MODERN_CODECS = {"h264", "hevc", "vvc", "vp9", "libvpx-vp9", "av1", "libdav1d"}
OLD_CODECS = {"mpeg1video", "mpeg2video", "mpeg4", "h263", "flv", "theora"}
INTRA_CODECS = {"mjpeg", "ffv1", "prores", "dnxhd", "huffyuv", "ffvhuff", "utvideo", "rawvideo", "png", "gif"}
ONE_PACKET_ONE_FRAME = MODERN_CODECS | OLD_CODECS | INTRA_CODECS
MIN_TICK_SECONDS = 0.0005


@dataclass(frozen=True)
class Keyframe:
    """A packet from which decoding can start; `position` is its place in the order of the file."""

    pts: int
    dts: int | None
    position: int
    num_bytes: int

    def is_packet(self, packet: VideoPacket) -> bool:
        return packet.pts == self.pts and packet.size == self.num_bytes


@dataclass(frozen=True)
class FrameIndex:
    """The frames of a video, or of a part of it, in the order in which they are displayed.

    Where `keyframes` is empty, frames are found by counting from the start of the file, for the reason in `doubt`.
    `first` is the number of frames that the file displays before those of a part.
    """

    timestamps: NDArray[np.int64]
    time_base: Fraction
    last_duration: int
    first: int = 0
    keyframes: list[Keyframe] = field(default_factory=list)
    positions: dict[int, int] = field(default_factory=dict)
    doubt: str = ""

    def __len__(self) -> int:
        return len(self.timestamps)

    @property
    def seconds(self) -> NDArray[np.float64]:
        """When each frame is displayed, counted from the first."""
        return (self.timestamps - self.timestamps[0]) * float(self.time_base)

    @property
    def edges_seconds(self) -> NDArray[np.float64]:
        """When each frame comes on display, counted from the first, and last of all when the last one goes."""
        return np.append(self.seconds, float(self.duration_seconds))

    @property
    def duration_seconds(self) -> Fraction:
        return (int(self.timestamps[-1] - self.timestamps[0]) + self.last_duration) * self.time_base

    def cut(self, start_seconds: float, end_seconds: float | None) -> "FrameIndex":
        """The index of the frames that come on display from the start on and before the end; it may be empty.

        Times are rounded to microseconds and then to ticks, as ffmpeg rounds them when it cuts.
        """
        start = self._to_timestamp(start_seconds)
        end = None if end_seconds is None else self._to_timestamp(end_seconds)
        first = int(np.searchsorted(self.timestamps, start))
        stop = len(self) if end is None else int(np.searchsorted(self.timestamps, end))
        return replace(
            self,
            timestamps=self.timestamps[first:stop],
            last_duration=self._cut_duration(stop, end) if end is not None and first < stop else self.last_duration,
            first=self.first + first,
        )

    def _to_timestamp(self, seconds: float) -> int:
        since_first = Fraction(round(seconds * 1_000_000), 1_000_000) / self.time_base
        return int(self.timestamps[0]) + math.floor(since_first + Fraction(1, 2))

    def _cut_duration(self, stop: int, end: int) -> int:
        """How long the frame before `stop` is displayed, if it is the last one before `end`.

        It stays until the next one comes, as in a file that is cut. Where frames are far apart that is too long for
        what ends before; then it stays until the end, and at least as long as frames usually do.
        """
        last = int(self.timestamps[stop - 1])
        own = int(self.timestamps[stop]) - last if stop < len(self) else self.last_duration
        usual = int(np.median(np.diff(self.timestamps))) if len(self) > 1 else own
        return min(own, max(end - last, usual))

    def keyframe_before(self, timestamp: int) -> Keyframe:
        """The last keyframe displayed at or before `timestamp`.

        Pictures that follow a keyframe in the file and are displayed before it lean on the keyframe before
        that.
        """
        place = bisect_right(self.keyframes, timestamp, key=lambda keyframe: keyframe.pts)
        return self.keyframes[max(0, place - 1)]

    def keyframe_of(self, packet: VideoPacket) -> Keyframe | None:
        """The keyframe that a packet is; None where it is none of those that the index knows."""
        place = bisect_left(self.keyframes, packet.pts or 0, key=lambda keyframe: keyframe.pts)
        found = self.keyframes[place : place + 1]
        return next((keyframe for keyframe in found if keyframe.is_packet(packet)), None)

    def numbers_at(self, seconds: NDArray[np.float64]) -> NDArray[np.int64]:
        """The frame on display at each of `seconds`."""
        # 2/30 s is meant for the frame that a file with ticks of 1 ms displays at 67 ms, a little later.
        tolerance = min(float(self.time_base) / 2, MIN_TICK_SECONDS)
        return np.searchsorted(self.seconds, seconds + tolerance, side="right") - 1


def index_by_packets(decoder: Decoder, *, is_interlaced: bool) -> FrameIndex | str:
    """The index from the packets alone, without decoding; or why they cannot be trusted."""
    table = _PacketTable(decoder)
    doubt = table.find_doubt(is_interlaced=is_interlaced)
    return doubt or table.to_index()


def index_by_decoding(decoder: Decoder, doubt: str) -> FrameIndex:
    """The index that decoding the whole file gives; always right, and frames are then found by counting."""
    times: list[int | None] = []
    duration = 0
    for frame in decoder.frames():
        times.append(frame.pts)
        duration = frame.duration or duration
    frame_ticks = _guess_frame_ticks(decoder)
    return FrameIndex(_put_in_order(times, frame_ticks), decoder.time_base, duration or frame_ticks, doubt=doubt)


class _PacketTable:
    """The packets of a file, read once."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._codec = decoder.stream.codec_context.name
        self._container = decoder.container.format.name
        self.times: list[int | None] = []
        self.displayed: list[int | None] = []
        self.keyframes: list[Keyframe] = []
        self.starts_with_keyframe = False
        self.num_corrupt = 0
        self.num_odd_frames = 0
        self.last_duration: tuple[int | None, int] = (None, 0)
        for packet in decoder.packets():
            self._add(packet)

    def _add(self, packet: VideoPacket) -> None:
        if packet.is_keyframe and packet.pts is not None:
            self._add_keyframe(packet, packet.pts)
        self.num_corrupt += packet.is_corrupt
        self.num_odd_frames += not holds_one_frame(packet, self._codec)
        self.times.append(packet.pts)
        if not packet.is_discard:  # outside of the edit list: decoded, since others lean on it, and never displayed
            self.displayed.append(packet.pts)
            self._note_duration(packet)

    def _add_keyframe(self, packet: VideoPacket, pts: int) -> None:
        is_first = not self.times
        self.starts_with_keyframe |= is_first
        is_later = not self.keyframes or pts > self.keyframes[-1].pts
        if is_first or (is_later and is_clean_start(packet, self._codec, self._decoder.context.extradata)):
            self.keyframes.append(Keyframe(pts, packet.dts, len(self.times), packet.size))

    def _note_duration(self, packet: VideoPacket) -> None:
        time, _ = self.last_duration
        if packet.pts is not None and (time is None or packet.pts > time):
            self.last_duration = (packet.pts, packet.duration or 0)

    def find_doubt(self, *, is_interlaced: bool) -> str:
        """Why the packets do not tell the frames; empty where they do."""
        known = [time for time in self.times if time is not None]
        is_avi_with_reordering = self._container == "avi" and self._decoder.reorder_depth > 0
        checks = {
            f"the codec {self._codec} may hide or drop frames": self._codec not in ONE_PACKET_ONE_FRAME,
            "the file does not start with a keyframe": not self.starts_with_keyframe,
            "some packets are damaged": self.num_corrupt > 0,
            "some packets hold no frame or several": self.num_odd_frames > 0,
            "some frames have no time": len(known) < len(self.times),
            "some frames have the same time": len(set(known)) < len(known),
            "frames before the first keyframe cannot be decoded": bool(known) and min(known) < self.keyframes[0].pts
            if self.keyframes
            else False,
            "an AVI does not say in which order frames are displayed": is_avi_with_reordering,
            "a program stream names the times of some frames only": self._container == "mpeg",
            "the two fields of a frame may be two packets": is_interlaced and self._container == "mpegts",
            "there are no packets": not self.displayed,
        }
        return next((reason for reason, applies in checks.items() if applies), "")

    def to_index(self) -> FrameIndex:
        times = [time for time in self.times if time is not None]
        displayed = [time for time in self.displayed if time is not None]
        return FrameIndex(
            timestamps=np.sort(np.array(displayed, dtype=np.int64)),
            time_base=self._decoder.time_base,
            last_duration=self.last_duration[1] or _guess_frame_ticks(self._decoder),
            keyframes=self.keyframes,
            positions={time: position for position, time in enumerate(times)},
        )


def _put_in_order(times: list[int | None], frame_ticks: int) -> NDArray[np.int64]:
    """The times of displayed frames; evenly spaced ones where the file's are missing or do not rise."""
    known = np.array([time for time in times if time is not None], dtype=np.int64)
    if len(known) == len(times) and np.all(np.diff(known) > 0):
        return known
    return np.arange(len(times), dtype=np.int64) * frame_ticks


def _guess_frame_ticks(decoder: Decoder) -> int:
    rate = decoder.stream.average_rate or decoder.stream.guessed_rate
    return max(1, round(1 / (rate * decoder.time_base))) if rate else 1
