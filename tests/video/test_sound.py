"""Sound is heard when its frames are seen, whatever the file is like."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from clips import moving_square, write_clip, write_clip_with_sound, write_sound
from muybridge.video import SegmentReader, SoundReader, VideoError, describe_video

RATE, FPS, SECONDS = 8000, 25, 2
FRAMES = moving_square(num_frames=FPS * SECONDS, height=32, width=48)


def noise(num_channels: int = 1, seconds: float = SECONDS, rate: int = RATE) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (num_channels, round(seconds * rate)))


def tone(frequency: float, rate: int, seconds: float = SECONDS, start: float = 0.0) -> np.ndarray:
    """A sine that begins at a time, and silence before."""
    times = np.arange(round(seconds * rate)) / rate
    return 0.5 * np.where(times >= start, np.sin(2 * math.pi * frequency * (times - start)), 0.0)


def read(path: Path, **arguments) -> torch.Tensor:
    with SoundReader(path, **arguments) as reader:
        samples = reader.frames_at(range(len(reader)))
        assert samples.dtype == torch.float32
        assert samples.shape == (len(reader),)
        return samples


def test_samples_at_the_rate_of_the_file_are_those_that_were_written(tmp_path: Path) -> None:
    samples = noise()
    path = write_clip_with_sound(tmp_path / "clip.mkv", FRAMES, samples, sampling_rate=RATE)
    assert_close(read(path, sampling_rate=RATE), torch.from_numpy(samples[0]).float(), rtol=0, atol=2 / 32768)


def test_two_channels_are_averaged(tmp_path: Path) -> None:
    samples = noise(2)
    path = write_clip_with_sound(tmp_path / "clip.mkv", FRAMES, samples, sampling_rate=RATE)
    expected = torch.from_numpy(samples.mean(0)).float()
    assert_close(read(path, sampling_rate=RATE), expected, rtol=0, atol=3 / 32768)


@pytest.mark.parametrize("rate", [8000, 16_000, 11_025, 48_000])
def test_a_tone_of_any_rate_is_the_same_tone(rate: int, tmp_path: Path) -> None:
    path = write_clip_with_sound(tmp_path / "clip.mkv", FRAMES, tone(440, 44_100)[None], sampling_rate=44_100)
    samples = read(path, sampling_rate=rate)
    assert abs(len(samples) - SECONDS * rate) <= 2
    middle = slice(rate // 10, -rate // 10)  # a resampler rings where a tone begins and ends
    expected = torch.from_numpy(tone(440, rate)[: len(samples)]).float()
    assert (samples - expected)[middle].abs().max() < 0.005


@pytest.mark.parametrize("first_frame", [0, 10])
@pytest.mark.parametrize("first_sample", [0, 4000])
def test_sample_0_is_heard_when_frame_0_is_seen(first_frame: int, first_sample: int, tmp_path: Path) -> None:
    """The video begins 0.4 s after the clock or with it; the sound 0.5 s after it or with it."""
    samples = noise()
    path = write_clip_with_sound(
        tmp_path / "clip.mkv",
        FRAMES,
        samples,
        sampling_rate=RATE,
        fps=FPS,
        first_frame=first_frame,
        first_sample=first_sample,
    )
    behind = first_sample - first_frame * RATE // FPS
    expected = np.concatenate([np.zeros(max(0, behind)), samples[0][max(0, -behind) :]])
    assert_close(read(path, sampling_rate=RATE), torch.from_numpy(expected).float(), rtol=0, atol=2 / 32768)


@pytest.mark.parametrize("first_frame", [0, 10])
def test_the_sound_of_a_segment_begins_with_its_first_frame(first_frame: int, tmp_path: Path) -> None:
    samples = noise(seconds=3)
    path = write_clip_with_sound(
        tmp_path / "clip.mkv", FRAMES, samples, sampling_rate=RATE, fps=FPS, first_frame=first_frame
    )
    span = {"start_seconds": 0.50, "end_seconds": 1.00}  # frame 13 is the first, at 0.52 s, and 24 the last
    with SegmentReader(path, **span) as frames:
        duration = frames.metadata.duration_seconds
    start = round((first_frame / FPS + 0.52) * RATE)
    expected = samples[0][start : start + round(duration * RATE)]
    assert duration == pytest.approx(12 / FPS)
    assert_close(read(path, sampling_rate=RATE, **span), torch.from_numpy(expected).float(), rtol=0, atol=2 / 32768)


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "aac"), (".mkv", "libopus"), (".mkv", "flac"), (".mp4", "mp3")])
def test_what_codecs_put_before_the_first_sample_is_not_heard(suffix: str, codec: str, tmp_path: Path) -> None:
    """A tone begins at 0.8 s; encoders delay it by up to 50 ms, and files say by how much."""
    rate = 48_000
    path = write_clip_with_sound(
        tmp_path / f"clip{suffix}", FRAMES, tone(1000, rate, start=0.8)[None], sampling_rate=rate, codec=codec
    )
    samples = read(path, sampling_rate=rate)
    loud = np.flatnonzero(samples.abs().numpy() > 0.25)
    assert loud[0] / rate == pytest.approx(0.8, abs=0.004)
    expected = torch.from_numpy(tone(1000, rate, start=0.8)[: len(samples)]).float()
    middle = slice(rate, rate + rate // 2)
    correlation = torch.corrcoef(torch.stack([samples[middle], expected[middle]]))[0, 1]
    assert correlation > 0.99


def test_a_reader_of_sound_tells_its_times_as_any_reader_does(tmp_path: Path) -> None:
    path = write_clip_with_sound(tmp_path / "clip.mkv", FRAMES, noise(), sampling_rate=RATE)
    with SoundReader(path, sampling_rate=RATE) as reader:
        assert (reader.modality, reader.name) == ("sound", str(path))
        assert len(reader) == SECONDS * RATE
        assert reader.edges_seconds[[0, 1, -1]] == pytest.approx([0, 1 / RATE, SECONDS])
        known = reader.metadata
        assert (known.num_frames, known.fps, known.codec) == (SECONDS * RATE, RATE, "pcm_s16le")
        assert known.duration_seconds == pytest.approx(SECONDS)
        assert torch.equal(reader.frames_at([5, -1]), reader.frames_at(range(len(reader)))[[5, -1]])
        with pytest.raises(IndexError, match="frame 16000 is not in"):
            reader.frames_at([SECONDS * RATE])
        with pytest.raises(ValueError, match="size is 5; sound has none"):
            reader.frames_at([0], size=5)
    with pytest.raises(ValueError, match="is closed"):
        len(reader)


def test_bytes_and_files_are_read_as_paths_are(tmp_path: Path) -> None:
    path = write_clip_with_sound(tmp_path / "clip.mkv", FRAMES, noise(), sampling_rate=RATE)
    expected = read(path)
    assert torch.equal(read(path.read_bytes()), expected)
    with path.open("rb") as file:
        assert torch.equal(read(file), expected)


def test_a_file_of_sound_alone_counts_from_its_first_sample(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "sound.wav")
    assert len(read(path, sampling_rate=8000)) == 8000
    assert len(read(path, sampling_rate=8000, start_seconds=0.25, end_seconds=0.5)) == 2000


def test_a_gap_in_the_sound_is_silence(tmp_path: Path) -> None:
    import av

    path = tmp_path / "gap.mkv"
    samples = (noise(seconds=1)[0] * 32767).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for first, last, at in ((0, 4000, 0), (4000, 8000, 12_000)):
            frame = av.AudioFrame.from_ndarray(samples[None, first:last].copy(), format="s16", layout="mono")
            frame.sample_rate, frame.pts = RATE, at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    heard = read(path, sampling_rate=RATE)
    expected = np.zeros(16_000)
    expected[:4000], expected[12_000:] = samples[:4000] / 32768, samples[4000:] / 32768
    assert_close(heard, torch.from_numpy(expected).float(), rtol=0, atol=2 / 32768)


def test_a_file_without_sound_says_so(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "silent.mp4", FRAMES)
    with pytest.raises(VideoError, match=r"silent\.mp4: there is no audio stream .* it has video streams"):
        SoundReader(path)


def test_what_is_no_file_of_sound_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("this is no sound")
    with pytest.raises(VideoError, match=r"text\.wav: this is not a video"):
        SoundReader(tmp_path / "text.wav")
    with pytest.raises(VideoError, match="there is no such file"):
        SoundReader(tmp_path / "absent.wav")
    with pytest.raises(ValueError, match="sampling_rate is 0"):
        SoundReader(tmp_path / "text.wav", sampling_rate=0)


def test_a_segment_after_the_end_of_the_sound_says_so(tmp_path: Path) -> None:
    path = write_clip_with_sound(tmp_path / "clip.mkv", FRAMES, noise(seconds=0.5), sampling_rate=RATE)
    with (
        SoundReader(path, start_seconds=1.0) as reader,
        pytest.raises(VideoError, match=r"clip\.mkv: no sound can be decoded in the time"),
    ):
        len(reader)


def test_the_sound_of_real_clips_lasts_as_long_as_they_do(shared_data: Path) -> None:
    folder = shared_data / "fights"
    rows = list(csv.DictReader((folder / "labels.csv").open()))
    sounding = [row["path"] for row in rows if row["has_audio"] in ("1", "True", "true", "yes")]
    silent = [row["path"] for row in rows if row["path"] not in sounding]
    assert sounding
    assert silent
    for name in sounding[:20]:
        with SoundReader(folder / name) as reader:
            duration = describe_video(folder / name).duration_seconds
            assert reader.metadata.duration_seconds == pytest.approx(duration, abs=0.15)
            assert reader.frames_at(range(len(reader))).abs().max() <= 1.5
    for name in silent[:5]:
        with pytest.raises(VideoError, match="there is no audio stream"):
            SoundReader(folder / name)
