"""Checkpoints published by the command, over HTTP, with the real client."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from clips import moving_square, write_clip
from hub_client import Client
from hub_server import serve_hub
from muybridge.cards import Card, CardFacts, Number, write_card
from muybridge.checkpoints import save_checkpoint
from muybridge.models import ARCHITECTURES
from muybridge.publishing import PublishingError, check_folder, publish

NUMBER = Number("clips", "test", "video Hit@1", 0.5, "1 clip × 1 crop, mean of softmax; 4 videos")


def write_checkpoint(folder: Path, *, licence="mit", labels=("left", "right", "up"), numbers=(NUMBER,)) -> Path:
    torch.manual_seed(0)
    architecture = ARCHITECTURES["c3d"]
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: index for index, label in enumerate(labels)}}
    model = architecture.task_model(architecture.tiny_config(**(names if labels else {})))
    size = {"height": model.config.image_size, "width": model.config.image_size}
    processor = architecture.processor(num_frames=model.config.num_frames, size=size, crop_size=size)
    facts = CardFacts("A title", str(folder), "A summary.", licence, "a command", architecture.papers, numbers=numbers)
    return save_checkpoint(folder, model, processor, write_card(model, facts))


def run(*words, environment) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "muybridge", *map(str, words)], env=environment, capture_output=True, text=True
    )


def test_a_published_checkpoint_is_classified_with_by_its_name(tmp_path):
    folder = write_checkpoint(tmp_path / "model")
    write_clip(tmp_path / "clip.mp4", moving_square(num_frames=20, height=48, width=64))
    with serve_hub(tmp_path) as server:
        token = server.create_token()
        environment = server.make_environment(token)
        published = run("publish", folder, "lab/tiny", "--private", environment=environment)
        classified = run("classify", tmp_path / "clip.mp4", "--model", "lab/tiny", environment=environment)
        client = Client(server.url, token)
        assert published.returncode == 0, published.stderr
        assert f"published lab/tiny at {server.url}/lab/tiny" in published.stdout
        assert client.ask("GET", "/api/models/lab/tiny")["private"]
        assert b'model="lab/tiny"' in client.download("lab/tiny", "README.md")
    assert classified.returncode == 0, classified.stderr
    assert "left" in classified.stdout


@pytest.mark.parametrize(
    ("changes", "name", "message"),
    [
        ({"licence": "unknown"}, "licence", "the card states none"),
        ({"labels": ()}, "labels", "3 of 3 are numbers, such as LABEL_0"),
        ({"numbers": ()}, "results", "`muybridge evaluate DATA --model"),
    ],
)
def test_what_a_checkpoint_lacks_is_named_unless_it_is_left_out_on_purpose(tmp_path, changes, name, message):
    folder = write_checkpoint(tmp_path / "model", **changes)
    with pytest.raises(PublishingError, match=f"{message}(.|\n)*--without {name}"):
        check_folder(folder)
    assert isinstance(check_folder(folder, without=[name]), Card)


def test_a_folder_that_is_no_checkpoint_or_a_broken_one_is_refused(tmp_path):
    with pytest.raises(PublishingError, match=r"no config.json, .*safetensors"):
        publish(tmp_path, "lab/tiny")
    folder = write_checkpoint(tmp_path / "model")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(PublishingError, match="cannot be read"):
        publish(folder, "lab/tiny")
    with pytest.raises(ValueError, match="without is title; what can be left out is licence, labels, results"):
        publish(folder, "lab/tiny", without=["title"])


def test_what_is_meant_to_be_private_does_not_go_where_everyone_reads(tmp_path):
    folder = write_checkpoint(tmp_path / "model")
    with serve_hub(tmp_path) as server:
        token = server.create_token()
        client = Client(server.url, token)
        client.create("lab/open")
        done = run("publish", folder, "lab/open", "--private", environment=server.make_environment(token))
        assert client.list_files("lab/open") == {}
    assert done.returncode == 2
    assert "lab/open exists already, and everyone can read it" in done.stderr
    assert "lab/open" not in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("name", "message"), [("a/b/c", "'a/b/c' cannot be the name of a model"), ("lab/tiny", "http://127.0.0.1:9")]
)
def test_a_bad_name_and_a_hub_that_is_not_there_are_named(tmp_path, name, message):
    folder = write_checkpoint(tmp_path / "model")
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN": "hf_a", "HF_HUB_OFFLINE": "0"}
    done = run("publish", folder, name, environment=environment)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
