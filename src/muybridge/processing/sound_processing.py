"""Sound becomes `input_values`: a window of samples in step with a clip, or its log-mel spectrogram.

Shapes: S samples, F windows of the spectrogram, M mel bands.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from transformers.audio_utils import mel_filter_bank
from transformers.processing_utils import VideosKwargs

from muybridge.processing.changes import Change
from muybridge.processing.clip_processor import ClipProcessor
from muybridge.processing.inputs import as_sounds
from muybridge.processing.parts import Lead, Span
from muybridge.processing.registry import register_processor
from muybridge.types import Clip
from muybridge.video import Reader, SoundReader
from muybridge.video.sampling import choose_starts
from muybridge.video.source import Source


class SoundProcessorKwargs(VideosKwargs, total=False):  # type: ignore[call-arg]
    """Our arguments beside transformers', of which those about pictures do nothing.

    source: the name of the reader, where a clip has several.
    sampling_rate: samples a second; files are resampled to it, and samples in memory are taken to have it.
    num_samples: how many of them a window has.
    num_crops: how often each window is given, as other inputs have so many crops of it.
    num_clips: windows over the whole sound, evenly from its start to its end; a single one in the middle.
    representation: "waveform", the samples; or "log_mel", what follows.
    window_length, hop_length: of the spectrogram's windows (Hann), in samples.
    num_mel_bins, min_frequency, max_frequency: bands of equal width on the mel scale of HTK, between these hertz.
    log_offset: what is added to the power in a band before the natural logarithm is taken.
    value_mean, value_std: what is subtracted from the values, and by what they are divided then.
    return_mask: adds `frame_mask`, False where there is no sound in the file; the values there are those of silence.
    """

    source: str
    sampling_rate: int
    num_samples: int
    num_clips: int
    num_crops: int
    representation: Literal["waveform", "log_mel"]
    window_length: int
    hop_length: int
    num_mel_bins: int
    min_frequency: float
    max_frequency: float
    log_offset: float
    value_mean: float
    value_std: float
    return_mask: bool


@register_processor
class SoundProcessor(ClipProcessor):
    """The sound of files, or samples in memory, to `input_values`: (B, S) or, as log-mel, (B, F, M).

    Several windows of a sound have the axis V after B. In step with a clip of frames the window has the same middle as
    the clip. Where the file has no sound there is silence: before its first sample and after its last.
    """

    valid_kwargs = SoundProcessorKwargs
    model_input_names = ["input_values"]
    modality = "sound"
    has_pictures = False

    source = "sound"
    sampling_rate = 16_000
    num_samples = 16_000
    representation = "waveform"
    window_length = 400
    hop_length = 160
    num_mel_bins = 64
    min_frequency = 20.0
    max_frequency = 8_000.0
    log_offset = 1e-6
    value_mean = 0.0
    value_std = 1.0

    def check_settings(self, settings: SimpleNamespace, *, is_random: bool) -> None:  # noqa: ARG002
        for name in ("sampling_rate", "num_samples", "window_length", "hop_length", "num_mel_bins", "value_std"):
            if not getattr(settings, name) > 0:
                raise ValueError(f"{name} is {getattr(settings, name)}; it must be positive")
        if settings.representation == "waveform":
            return
        if settings.num_samples < settings.window_length:
            raise ValueError(
                f"num_samples is {settings.num_samples} and window_length {settings.window_length}; a spectrogram "
                "needs one window at least"
            )
        if not 0 <= settings.min_frequency < settings.max_frequency <= settings.sampling_rate / 2:
            raise ValueError(
                f"min_frequency is {settings.min_frequency} and max_frequency {settings.max_frequency}; they must rise "
                f"and lie in [0, {settings.sampling_rate / 2}], half the sampling rate"
            )

    def sort_sources(self, videos: Any, settings: SimpleNamespace) -> list[Any]:  # noqa: ARG002
        return as_sounds(videos)

    def check_reader(self, reader: Reader, settings: SimpleNamespace) -> None:
        super().check_reader(reader, settings)
        if reader.metadata.fps not in (None, settings.sampling_rate):
            raise ValueError(
                f"{reader.name} is read at {reader.metadata.fps} samples a second, and the processor takes "
                f"{settings.sampling_rate}; open it with sampling_rate={settings.sampling_rate}"
            )

    def hold(self, frames: Tensor, settings: SimpleNamespace, fps: float | None) -> Reader:  # noqa: ARG002
        """Samples have the processor's rate; `fps` is that of frames beside them."""
        return super().hold(frames, settings, settings.sampling_rate)

    def open_file(self, source: Source, settings: SimpleNamespace, span: Span) -> Reader:
        return SoundReader(
            source,
            sampling_rate=settings.sampling_rate,
            start_seconds=span.start_seconds,
            end_seconds=span.end_seconds,
        )

    def choose_clips(self, reader: Reader, settings: SimpleNamespace, generator: Generator | None) -> list[Clip]:
        last_start = max(0, len(reader) - settings.num_samples)
        starts = choose_starts(last_start, settings.num_clips, generator)
        return [make_window(start, settings.num_samples, len(reader)) for start in starts]

    def follow(self, reader: Reader, settings: SimpleNamespace, lead: Lead) -> Clip:
        """The window around the middle of what the lead shows."""
        start = round(lead.middle_seconds * settings.sampling_rate - settings.num_samples / 2)
        return make_window(start, settings.num_samples, len(reader))

    def prepare(self, frames: Tensor, settings: SimpleNamespace) -> Tensor:
        return frames if settings.device is None else frames.to(settings.device)

    def show_clips(
        self, frames: Tensor, clips: Sequence[Clip], settings: SimpleNamespace, changes: Sequence[Change] | None
    ) -> Iterator[Tensor]:
        for clip in clips:
            positions, mask = (torch.from_numpy(each).to(frames.device) for each in (clip.indices, clip.mask))
            samples = frames[positions] * mask
            shown = samples if settings.representation == "waveform" else compute_log_mel(samples, settings)
            for _ in range(settings.num_crops if changes is None else 1):
                yield shown

    def write_values(self, frames: Tensor, settings: SimpleNamespace, out: Tensor) -> None:
        out.copy_(frames).sub_(settings.value_mean).div_(settings.value_std)


def make_window(start: int, num_samples: int, total: int) -> Clip:
    """`num_samples` from `start` on; the mask is False for those before the first and after the last."""
    wanted = np.arange(start, start + num_samples)
    return Clip(wanted.clip(0, total - 1), (wanted >= 0) & (wanted < total))


def compute_log_mel(samples: Tensor, settings: SimpleNamespace) -> Tensor:
    """The logarithm (F, M) of the power of samples (S,) in mel bands, in windows of which each lies within them."""
    length = settings.window_length
    window = torch.hann_window(length, dtype=samples.dtype, device=samples.device)
    windows = samples.unfold(0, length, settings.hop_length) * window  # (F, length)
    power = torch.fft.rfft(windows, dim=-1).abs().square()  # (F, length // 2 + 1)
    filters = make_mel_filters(
        length // 2 + 1,
        settings.num_mel_bins,
        settings.min_frequency,
        settings.max_frequency,
        settings.sampling_rate,
    )
    bands = power @ torch.from_numpy(filters).to(power)
    return (bands + settings.log_offset).log()


@lru_cache(maxsize=16)
def make_mel_filters(
    num_frequencies: int, num_mel_bins: int, min_frequency: float, max_frequency: float, sampling_rate: int
) -> NDArray[np.float64]:
    """How much of each frequency belongs to each band: triangles on the mel scale (frequencies, M)."""
    return mel_filter_bank(
        num_frequencies, num_mel_bins, min_frequency, max_frequency, sampling_rate, norm=None, mel_scale="htk"
    )
