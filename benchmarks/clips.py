"""Clips that a codec finds neither trivial nor impossible: textures that move, under the noise of a sensor."""

import math
from pathlib import Path

import av
import numpy as np
import torch
import torch.nn.functional as F

FPS = 30
MARGIN = 128  # how far the view wanders over a larger texture
NUM_NOISES = 8


def write_realistic_clip(path: Path, height: int, width: int, seconds: float, *, seed: int = 0) -> Path:
    """Writes H.264 with x264's defaults, its speed apart: the background pans, and a patch crosses it."""
    generator = torch.Generator().manual_seed(seed)
    texture = _texture(height + MARGIN, width + MARGIN, generator)
    noises = torch.randint(-4, 5, (NUM_NOISES, height, width, 1), generator=generator, dtype=torch.int16).numpy()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for time in range(round(seconds * FPS)):
            image = _view(texture, height, width, time) + noises[time % NUM_NOISES]
            frame = av.VideoFrame.from_ndarray(image.clip(0, 255).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _texture(height: int, width: int, generator: torch.Generator) -> np.ndarray:
    """Coarse and fine clouds of colour (H, W, 3)."""
    image = torch.full((1, 3, height, width), 128.0)
    for cell, contrast in ((64, 40), (16, 20), (4, 10)):
        clouds = torch.randn(1, 3, height // cell + 2, width // cell + 2, generator=generator)
        image += contrast * F.interpolate(clouds, (height, width), mode="bilinear")
    return image[0].permute(1, 2, 0).clamp(0, 255).to(torch.int16).contiguous().numpy()


def _view(texture: np.ndarray, height: int, width: int, time: int) -> np.ndarray:
    top = round(MARGIN / 2 * (1 + math.sin(time / 23)))
    left = round(MARGIN / 2 * (1 + math.cos(time / 31)))
    image = texture[top : top + height, left : left + width].copy()
    side = height // 4
    row, column = (5 * time) % (height - side), (7 * time) % (width - side)
    image[row : row + side, column : column + side] = texture[:side, :side]
    return image
