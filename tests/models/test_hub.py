"""Pushed to a hub by one process and loaded from it by the same name, with the real client."""

import subprocess
import sys

from clips import moving_square, write_clip
from hub import client_environment, serve_hub

PUSH_AND_LOAD = """
import sys
import torch
import muybridge
from transformers import AutoModelForVideoClassification, pipeline

architecture = muybridge.ARCHITECTURES["c3d"]
model = architecture.classifier(architecture.tiny_config()).eval()
model.push_to_hub("someone/tiny", private=True)
size = model.config.image_size
architecture.processor(
    num_frames=model.config.num_frames, size={"height": size, "width": size}, crop_size={"height": size, "width": size}
).push_to_hub("someone/tiny")
loaded = AutoModelForVideoClassification.from_pretrained("someone/tiny")
assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in model.state_dict().items())
print(pipeline("video-classification", model="someone/tiny")(sys.argv[1], top_k=1))
"""


def test_what_is_pushed_to_a_hub_is_loaded_from_it_by_name(tmp_path):
    write_clip(tmp_path / "clip.mp4", moving_square(num_frames=20, height=48, width=64))
    with serve_hub(tmp_path / "hub") as (address, created):
        done = subprocess.run(
            [sys.executable, "-c", PUSH_AND_LOAD, tmp_path / "clip.mp4"],
            env=client_environment(address, tmp_path / "cache"), capture_output=True, text=True,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert created["someone/tiny"]["visibility"] == "private"
    names = {path.name for path in (tmp_path / "hub" / "someone" / "tiny").iterdir()}
    assert names == {"README.md", "config.json", "model.safetensors", "video_preprocessor_config.json"}
    assert "LABEL_" in done.stdout
