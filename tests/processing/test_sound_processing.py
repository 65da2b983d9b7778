"""Sound to input values: which window of it, as samples or as a log-mel spectrogram."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

import muybridge
from clips import moving_square, write_clip_with_sound
from muybridge.processing import ClipMaker, SoundProcessor, View
from muybridge.video import SoundReader, VideoReader

RATE = 8000
SMALL = {"sampling_rate": RATE, "num_samples": 2000, "max_frequency": 4000.0}


def noise(num_samples: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(num_samples, generator=torch.Generator().manual_seed(seed)) - 0.5


def process(sounds, **arguments) -> torch.Tensor:
    return SoundProcessor(**SMALL)(sounds, return_tensors="pt", **arguments).input_values


@pytest.mark.parametrize(
    ("arguments", "starts"),
    [({}, [1500]), ({"num_clips": 3}, [0, 1500, 3000]), ({"num_clips": 5}, [0, 750, 1500, 2250, 3000])],
)
def test_windows_lie_evenly_over_the_sound_and_a_single_one_in_the_middle(arguments: dict, starts: list[int]) -> None:
    samples = noise(5000)
    expected = torch.stack([samples[start : start + 2000] for start in starts])
    assert torch.equal(process(samples, **arguments)[0], expected if len(starts) > 1 else expected[0])


def test_a_short_sound_is_followed_by_silence_and_the_mask_says_so() -> None:
    samples = noise(1200)
    batch = SoundProcessor(**SMALL, return_mask=True)(samples, return_tensors="pt")
    assert torch.equal(batch["input_values"][0, :1200], samples)
    assert not batch["input_values"][0, 1200:].any()
    assert batch["frame_mask"][0].tolist() == [True] * 1200 + [False] * 800


def test_a_batch_is_a_list_or_a_second_axis() -> None:
    first, second = noise(3000), noise(4000, seed=1)
    both = process([first, second.numpy()])
    assert torch.equal(both, torch.cat([process(first), process(second)]))
    assert torch.equal(process(torch.stack([first, first])), torch.cat([process(first)] * 2))


def test_a_file_gives_what_its_samples_give(tmp_path: Path) -> None:
    path = write_clip_with_sound(
        tmp_path / "clip.mkv", moving_square(num_frames=25, height=32, width=32), noise(8000)[None].numpy(),
        sampling_rate=RATE,
    )  # fmt: skip
    with SoundReader(path, sampling_rate=RATE) as reader:
        samples = reader.frames_at(range(len(reader)))
        assert torch.equal(process(reader), process(samples))
    assert torch.equal(process(path), process(samples))
    assert torch.equal(process([str(path), path.read_bytes()]), process([samples, samples]))


def test_beside_crops_of_other_inputs_a_window_is_given_as_often() -> None:
    samples = noise(5000)
    once, thrice = process(samples, num_clips=2), process(samples, num_clips=2, num_crops=3)
    assert torch.equal(thrice, once.repeat_interleave(3, dim=1))


def test_values_are_normalised_by_two_numbers() -> None:
    samples = noise(2000)
    assert_close(process(samples, value_mean=0.1, value_std=2.0)[0], (samples - 0.1) / 2)


def log_mel_by_hand(samples: np.ndarray, *, length: int, hop: int, bands: int, low: float, high: float, offset: float):
    """The formulas, term by term: a Fourier sum of each window, and triangles on HTK's scale of mel."""
    to_mel = lambda frequency: 2595 * math.log10(1 + frequency / 700)  # noqa: E731
    to_hertz = lambda mel: 700 * (10 ** (mel / 2595) - 1)  # noqa: E731
    corners = [to_hertz(mel) for mel in np.linspace(to_mel(low), to_mel(high), bands + 2)]
    window = np.array([0.5 - 0.5 * math.cos(2 * math.pi * n / length) for n in range(length)])
    turns = np.exp(-2j * np.pi * np.outer(np.arange(length // 2 + 1), np.arange(length)) / length)
    rows = []
    for start in range(0, len(samples) - length + 1, hop):
        power = np.abs(turns @ (samples[start : start + length] * window)) ** 2
        row = []
        for left, middle, right in zip(corners, corners[1:], corners[2:], strict=False):
            total = 0.0
            for number, each in enumerate(power):
                frequency = number * RATE / length
                rising, falling = (frequency - left) / (middle - left), (right - frequency) / (right - middle)
                total += max(0.0, min(rising, falling)) * each
            row.append(math.log(total + offset))
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize(("length", "hop", "bands"), [(256, 128, 12), (200, 80, 20)])
def test_log_mel_equals_its_formula(length: int, hop: int, bands: int) -> None:
    samples = noise(2000)
    numbers = {"window_length": length, "hop_length": hop, "num_mel_bins": bands, "min_frequency": 60.0}
    values = process(samples, representation="log_mel", log_offset=1e-4, **numbers)[0]
    expected = log_mel_by_hand(
        samples.double().numpy(), length=length, hop=hop, bands=bands, low=60.0, high=4000.0, offset=1e-4
    )
    assert values.shape == (1 + (2000 - length) // hop, bands)
    assert_close(values.double(), torch.from_numpy(expected), rtol=1e-3, atol=1e-3)


def test_log_mel_equals_that_of_transformers() -> None:
    samples = noise(2000)
    filters = mel_filter_bank(129, 16, 20.0, 4000.0, RATE, norm=None, mel_scale="htk")
    expected = spectrogram(
        samples.double().numpy(), window_function(256, "hann"), 256, 128, center=False, mel_filters=filters,
        mel_floor=0.0, power=2.0,
    )  # fmt: skip
    numbers = {"window_length": 256, "hop_length": 128, "num_mel_bins": 16, "log_offset": 1e-6}
    values = process(samples, representation="log_mel", **numbers)[0]
    assert_close(values.double(), torch.from_numpy(np.log(expected.T + 1e-6)), rtol=1e-3, atol=1e-3)


def test_a_tone_is_loudest_in_its_own_band() -> None:
    for frequency in (300, 1000, 2500):
        tone = torch.sin(2 * math.pi * frequency * torch.arange(2000) / RATE)
        values = process(tone, representation="log_mel", num_mel_bins=32)[0]
        mels = torch.linspace(2595 * math.log10(1 + 20 / 700), 2595 * math.log10(1 + 4000 / 700), 34)[1:-1]
        nearest = (700 * (10 ** (mels / 2595) - 1) - frequency).abs().argmin()
        assert (values.mean(0).argmax() - nearest).abs() <= 1


def test_random_windows_lie_anywhere_in_the_sound() -> None:
    samples = torch.arange(5000.0) / 5000
    maker = ClipMaker(SoundProcessor(**SMALL), {"clip": View(is_random=True, count=300)})
    with maker.open(samples) as readers:
        windows = maker.make(readers, torch.Generator().manual_seed(0))["clip"]["input_values"]
    starts = (windows[:, 0] * 5000).round()
    assert torch.equal(windows, (starts[:, None] + torch.arange(2000)) / 5000)
    assert 0 <= starts.min() < 100
    assert 2900 < starts.max() <= 3000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_samples": 0}, "num_samples is 0; it must be positive"),
        ({"value_std": 0.0}, "value_std is 0.0; it must be positive"),
        ({"representation": "log_mel", "num_samples": 100}, "a spectrogram needs one window"),
        ({"representation": "log_mel", "max_frequency": 5000.0}, r"lie in \[0, 4000.0\], half the sampling rate"),
        ({"num_clips": 0}, "num_clips is 0"),
        ({"num_corps": 3}, r"SoundProcessor has no argument num_corps; it has .*num_crops"),
    ],
)
def test_settings_that_make_no_sense_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        process(noise(5000), **arguments)


def test_what_is_no_sound_is_refused(tmp_path: Path) -> None:
    path = write_clip_with_sound(
        tmp_path / "clip.mkv", moving_square(num_frames=4, height=32, width=32), noise(800)[None].numpy(),
        sampling_rate=RATE,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"it must be floats \(S,\) in \[-1, 1\]"):
        process(torch.zeros(10, dtype=torch.int16))
    with (
        SoundReader(path, sampling_rate=16_000) as reader,
        pytest.raises(ValueError, match="open it with sampling_rate=8000"),
    ):
        process(reader)
    with VideoReader(path) as reader, pytest.raises(ValueError, match="is video, and SoundProcessor takes sound"):
        process(reader)


def test_a_processor_of_sound_is_saved_and_found_by_its_name(tmp_path: Path) -> None:
    processor = SoundProcessor(**SMALL, representation="log_mel", num_mel_bins=8)
    processor.save_pretrained(tmp_path)
    loaded = muybridge.AutoVideoProcessor.from_pretrained(tmp_path)
    assert type(loaded) is SoundProcessor
    assert loaded.to_dict() == processor.to_dict()
    sound = noise(4000)
    assert torch.equal(
        loaded(sound, return_tensors="pt").input_values, processor(sound, return_tensors="pt").input_values
    )
