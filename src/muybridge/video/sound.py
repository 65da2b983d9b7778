"""The sound of a video, as samples that are in step with its frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
import torch
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from muybridge.video.decoder import describe_error, has_moving_pictures, open_container
from muybridge.video.errors import VideoError
from muybridge.video.file import VideoFile
from muybridge.video.geometry import Size
from muybridge.video.readers import Indices, Reader, check_indices
from muybridge.video.segments import cut_segment
from muybridge.video.source import BorrowedSource, Source, make_source

MAX_DRIFT_SECONDS = 0.1  # the times of packets may be that far off from the count of samples; beyond lies a gap


@dataclass(frozen=True)
class SoundMetadata:
    """What is known of a sound as it is read; `fps` is its sampling rate."""

    num_frames: int
    fps: float
    codec: str
    container: str

    @property
    def duration_seconds(self) -> float:
        return self.num_frames / self.fps


class SoundReader(Reader):
    """The sound of a file as float32 samples in [-1, 1], the mean of its channels, `sampling_rate` a second.

    Sample 0 is heard when frame 0 of the video is displayed: what sounds before is left out, and where the sound begins
    later there is silence. With `start_seconds` and `end_seconds` the reader is in step with the `SegmentReader` of the
    same times. A file without a video counts from its first sample.

    The whole sound is decoded when it is first asked for.
    """

    modality = "sound"

    def __init__(
        self,
        source: Any,
        *,
        sampling_rate: int = 16_000,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
    ) -> None:
        if sampling_rate < 1:
            raise ValueError(f"sampling_rate is {sampling_rate}; it must be 1 or more samples a second")
        self.sampling_rate = sampling_rate
        self._source = make_source(source)
        self._samples: NDArray[np.float32] | None = None
        self._is_closed = False
        try:
            self._start, self._end = self._open(start_seconds, end_seconds)
        except VideoError:
            self.close()
            raise

    def _open(self, start_seconds: float | None, end_seconds: float | None) -> tuple[Fraction, Fraction | None]:
        """The span that is read, by the file's own clock; None is the end of the sound."""
        with open_container(self._source) as container:
            stream = _find_stream(container, self._source)
            self._codec, self._container = stream.codec_context.name, container.format.name
            if has_moving_pictures(container):
                return _find_span(self._source, start_seconds, end_seconds)
            first = (stream.start_time or 0) * (stream.time_base or Fraction(0))
        end = None if end_seconds is None else first + Fraction(end_seconds)
        return first + Fraction(start_seconds or 0), end

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def metadata(self) -> SoundMetadata:
        return SoundMetadata(len(self), float(self.sampling_rate), self._codec, self._container)

    @property
    def edges_seconds(self) -> NDArray[np.float64]:
        return np.arange(len(self) + 1) / self.sampling_rate

    def __len__(self) -> int:
        """The number of samples."""
        return len(self._decode())

    def frames_at(self, indices: Indices, size: Size | None = None) -> torch.Tensor:
        """The samples of these numbers (T,)."""
        if size is not None:
            raise ValueError(f"size is {size}; sound has none")
        samples = self._decode()
        return torch.from_numpy(samples[check_indices(indices, len(samples), self.name)])

    def close(self) -> None:
        self._is_closed = True
        self._samples = None
        self._source.close()

    def __repr__(self) -> str:
        return f"SoundReader({self.name!r}, sampling_rate={self.sampling_rate})"

    def _decode(self) -> NDArray[np.float32]:
        if self._is_closed:
            raise ValueError(f"the reader of {self.name} is closed")
        if self._samples is None:
            self._samples = self._place(list(_decode_runs(self._source, self.sampling_rate)))
            if not len(self._samples):
                raise VideoError(self.name, "no sound can be decoded in the time of the video that is read")
        return self._samples

    def _place(self, runs: list[tuple[Fraction, NDArray[np.float32]]]) -> NDArray[np.float32]:
        """The runs at their times on the clock of the video, with silence where there is none."""
        starts = [round((seconds - self._start) * self.sampling_rate) for seconds, _ in runs]
        stops = [start + len(run) for start, (_, run) in zip(starts, runs, strict=True)]
        length = max([0, *stops])
        if self._end is not None:
            length = min(length, round((self._end - self._start) * self.sampling_rate))
        samples = np.zeros(length, dtype=np.float32)
        for start, stop, (_, run) in zip(starts, stops, runs, strict=True):
            first, last = max(start, 0), min(stop, length)
            if first < last:
                samples[first:last] = run[first - start : last - start]
        return samples


def _find_stream(container: av.container.InputContainer, source: Source) -> AudioStream:
    """ffmpeg's choice among the sounds of a file."""
    streams = [stream for stream in container.streams.audio if stream.codec_context is not None]
    if not streams:
        kinds = sorted({stream.type for stream in container.streams})
        is_undecodable = "audio" in kinds
        what = "ffmpeg has no decoder for it" if is_undecodable else f"it has {' and '.join(kinds) or 'no'} streams"
        raise VideoError(source.name, f"there is no audio stream that can be decoded: {what}")
    best = container.streams.best("audio")
    return next((stream for stream in streams if stream is best), streams[0])


def _find_span(
    source: Source, start_seconds: float | None, end_seconds: float | None
) -> tuple[Fraction, Fraction | None]:
    """When the first frame that is read comes on display and the last one goes, by the file's own clock.

    None is the end of the sound.
    """
    with VideoFile(BorrowedSource(source)) as file:
        if start_seconds is None and end_seconds is None:
            return file.first_seconds, None
        part = cut_segment(file.index, start_seconds or 0.0, end_seconds, file.name)
        start = file.first_seconds + int(part.timestamps[0] - file.index.timestamps[0]) * part.time_base
        return start, None if end_seconds is None else start + part.duration_seconds


class _Run:
    """Sound without a gap, resampled; its channels are averaged."""

    def __init__(self, start: Fraction, sampling_rate: int) -> None:
        self.start = start
        self.end = start
        self._kind: tuple[Any, ...] | None = None
        self._resampler = av.AudioResampler(format="fltp", rate=sampling_rate)
        self._parts: list[NDArray[np.float32]] = []

    def continues_with(self, frame: av.AudioFrame) -> bool:
        is_alike = self._kind in (None, _describe_kind(frame))
        return is_alike and (frame.pts is None or abs(_read_time(frame) - self.end) <= MAX_DRIFT_SECONDS)

    def add(self, frame: av.AudioFrame) -> None:
        self._kind = _describe_kind(frame)
        self.end += Fraction(frame.samples, frame.sample_rate)
        self._collect(frame)

    def finish(self) -> tuple[Fraction, NDArray[np.float32]]:
        """When the run begins, and its samples (T,)."""
        self._collect(None)
        return self.start, np.concatenate(self._parts)

    def _collect(self, frame: av.AudioFrame | None) -> None:
        # The mean of the channels: ffmpeg's own mixture is louder for floats than for whole numbers.
        self._parts += [part.to_ndarray().mean(axis=0, dtype=np.float32) for part in self._resampler.resample(frame)]


def _decode_runs(source: Source, sampling_rate: int) -> Iterator[tuple[Fraction, NDArray[np.float32]]]:
    with open_container(source) as container:
        run: _Run | None = None
        for frame in _decode_frames(container, source):
            if run is None or not run.continues_with(frame):
                if run is not None:
                    yield run.finish()
                run = _Run(_read_time(frame), sampling_rate)
            run.add(frame)
        if run is not None:
            yield run.finish()


def _decode_frames(container: av.container.InputContainer, source: Source) -> Iterator[av.AudioFrame]:
    end = Fraction(0)
    try:
        for frame in container.decode(_find_stream(container, source)):
            end = _read_time(frame) if frame.pts is not None else end
            yield frame
    except av.FFmpegError as error:
        reason = f"decoding the sound fails after {float(end):.2f} s: {describe_error(error)}"
        raise VideoError(source.name, reason, "the file is damaged") from error


def _read_time(frame: av.AudioFrame) -> Fraction:
    return (frame.pts or 0) * (frame.time_base or Fraction(0))


def _describe_kind(frame: av.AudioFrame) -> tuple[Any, ...]:
    return frame.sample_rate, frame.format.name, frame.layout.name
