"""From a file of weights and a file of video to a label: `make demo`.

There is no network in this demonstration, so the weights are random numbers in the layout that torchvision publishes,
and the labels mean nothing; conversion/ says where the real ones are.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import torch

from muybridge.conversion import SOURCES

SOURCE = "torchvision/r3d_18"
NUM_FRAMES = 60
HEIGHT, WIDTH = 240, 320


def main(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_clip(folder / "clip.mp4")
    (folder / "broken.mp4").write_bytes((folder / "clip.mp4").read_bytes()[:2000])
    torch.save(random_weights(), folder / "r3d_18.pth")
    muybridge("convert", SOURCE, folder / "r3d_18.pth", folder / "model", "--verify")
    muybridge("info", folder / "model")
    muybridge("info", folder / "clip.mp4")
    muybridge("classify", folder / "clip.mp4", "--model", folder / "model", "--fast")
    print(f"\nThe weights are random, so the labels mean nothing. All of it is in {folder}/.")


def muybridge(*words: str | Path) -> None:
    """Runs a command as a person would."""
    print("\n$ muybridge", *words, flush=True)
    subprocess.run([Path(sys.executable).parent / "muybridge", *words], check=True)


def write_clip(path: Path) -> None:
    """A bright square that crosses a dark room."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(NUM_FRAMES):
            image = np.full((HEIGHT, WIDTH, 3), 40, dtype=np.uint8)
            left = (WIDTH - 60) * index // NUM_FRAMES
            image[90:150, left : left + 60] = (250, 200, 60)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def random_weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    source = SOURCES[SOURCE]
    model = source.architecture.classifier(source.config({}, num_labels=400))
    return {source.original_name(name): tensor for name, tensor in model.state_dict().items()}


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo"))
