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


def decode_from_start(path: Path | str) -> torch.Tensor:
    """Every frame (T, 3, H, W) by plain PyAV, turned upright: what a reader must agree with."""
    images = []
    with av.open(str(path), metadata_errors="replace") as container:
        for frame in container.decode(video=0):
            image = torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)
            images.append(torch.rot90(image, frame.rotation // 90, (1, 2)))
    return torch.stack(images)
