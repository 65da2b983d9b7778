"""Clips that tests make for themselves, with PyAV alone."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from torch.utils.data import Dataset

from muybridge.video import VideoReader


def moving_square(*, num_frames: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Frames (T, 3, H, W) of a bright square that crosses a noisy background: no two are alike."""
    generator = torch.Generator().manual_seed(seed)
    background = torch.randint(0, 100, (3, height, width), generator=generator, dtype=torch.uint8)
    frames = background.repeat(num_frames, 1, 1, 1)
    side = max(2, min(height, width) // 4)
    for time in range(num_frames):
        top, left = (2 * time) % max(1, height - side), (3 * time) % max(1, width - side)
        frames[time, :, top : top + side, left : left + side] = 255
        frames[time, time % 3] += 5 * (time % 11)
    return frames


def write_clip(
    path: Path | str,
    frames: torch.Tensor,
    *,
    fps: Fraction | int = 30,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    container_format: str | None = None,
    times: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    colour: tuple[int, int] | None = None,
) -> Path:
    """Writes frames (T, 3, H, W); the name's ending chooses the container.

    `times` are those at which the frames are displayed, in units of `time_base`; they rise evenly by default.
    `colour` is a colour space and a range, as ffmpeg numbers them.
    """
    path = Path(path)
    time_base = time_base or Fraction(1, 1) / fps
    with av.open(str(path), "w", format=container_format, options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.height, stream.width = frames.shape[-2:]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = time_base
        if colour is not None:
            stream.codec_context.colorspace, stream.codec_context.color_range = colour
        for number, image in enumerate(frames.permute(0, 2, 3, 1).contiguous().numpy()):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = number if times is None else times[number]
            frame.time_base = time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


class FramesOf(Dataset):
    """One frame an item, out of a reader that was opened before the workers started."""

    def __init__(self, reader: VideoReader) -> None:
        self.reader = reader

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.reader.frames_at([index])[0]


def write_clip_with_sound(
    path: Path | str,
    frames: torch.Tensor,
    samples: np.ndarray,
    *,
    sampling_rate: int,
    fps: int = 25,
    codec: str = "pcm_s16le",
    first_frame: int = 0,
    first_sample: int = 0,
) -> Path:
    """Writes frames (T, 3, H, W) and samples (C, S) in [-1, 1], which begin at these numbers of a common clock."""
    path = Path(path)
    layout = {1: "mono", 2: "stereo"}[len(samples)]
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fps, options={"bf": "0"})
        video.height, video.width = frames.shape[-2:]
        video.pix_fmt = "yuv420p"
        sound = container.add_stream(codec, rate=sampling_rate, layout=layout)
        for number, image in enumerate(frames.permute(0, 2, 3, 1).contiguous().numpy()):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = first_frame + number, Fraction(1, fps)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        data = (samples.clip(-1, 1) * 32767).round().astype(np.int16)
        for start in range(0, data.shape[1], 1000):
            part = data[:, start : start + 1000].T.reshape(1, -1).copy()
            frame = av.AudioFrame.from_ndarray(part, format="s16", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = (
                sampling_rate,
                first_sample + start,
                Fraction(1, sampling_rate),
            )
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return path


def write_sound(path: Path | str, num_samples: int = 8000) -> Path:
    """Writes a file of silence without a picture."""
    path = Path(path)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, num_samples), np.int16), format="s16", layout="mono")
        samples.sample_rate = 8000
        container.mux(stream.encode(samples))
        container.mux(stream.encode(None))
    return path


def remux(source: Path, target: Path, **options: str) -> Path:
    """Copies the packets of a clip into another container."""
    with av.open(str(source)) as inside, av.open(str(target), "w", options=options) as outside:
        stream = outside.add_stream_from_template(inside.streams.video[0])
        for packet in inside.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                outside.mux(packet)
    return target


def cut_losslessly(source: Path, target: Path, start_seconds: float, end_seconds: float) -> Path:
    """Cuts as `ffmpeg -ss START -to END` does: frames displayed from the start on and before the end, encoded anew.

    The colours as they are stored, and the times and durations of frames, stay the same to the bit.
    """
    start, end = Fraction(str(start_seconds)), Fraction(str(end_seconds))
    with av.open(str(source)) as inside, av.open(str(target), "w") as outside:
        stream = inside.streams.video[0]
        frames = list(inside.decode(stream))
        origin, clock = frames[0].pts, stream.time_base
        kept = [frame for frame in frames if start <= (frame.pts - origin) * clock < end]
        out = outside.add_stream("libx264", rate=stream.average_rate, options={"qp": "0", "bf": "0"})
        out.height, out.width, out.pix_fmt = kept[0].height, kept[0].width, kept[0].format.name
        out.codec_context.time_base = clock
        out.codec_context.colorspace, out.codec_context.color_range = kept[0].colorspace, kept[0].color_range
        first, pending = kept[0].pts, [frame.duration for frame in kept]
        for frame in [*kept, None]:
            if frame is not None:
                frame.pts, frame.pict_type = frame.pts - first, 0
            for packet in out.encode(frame):
                packet.duration = pending.pop(0)
                outside.mux(packet)
    return target


def decode_from_start(path: Path | str) -> torch.Tensor:
    """Every frame (T, 3, H, W) by plain PyAV, turned upright: what a reader must agree with."""
    images = []
    with av.open(str(path), metadata_errors="replace") as container:
        for frame in container.decode(video=0):
            image = torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)
            images.append(torch.rot90(image, frame.rotation // 90, (1, 2)))
    return torch.stack(images)
