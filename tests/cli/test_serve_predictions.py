"""The real process, over its pipes, with models from a real hub."""

import base64
import io
import json
import shutil
import subprocess
import sys

import pytest
import torch
from PIL import Image

from clips import decode_from_start, moving_square, write_clip
from hub_models import put_into_hub, save_tiny_model
from hub_server import serve_hub
from muybridge import VideoClassificationPipeline
from muybridge.cli.prediction_service import choose_evenly
from muybridge.models.registry import FOREIGN_ARCHITECTURES
from muybridge.pipelines.video_classification import Labels

COMMAND = [sys.executable, "-m", "muybridge", "serve-predictions", "--num-models", "1"]


class Predictions:
    """The process; it is asked several things at once, and answers one after another."""

    def __init__(self, environment: dict[str, str], commits: dict[str, str]) -> None:
        self.commits = commits
        self.process = subprocess.Popen(
            COMMAND, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def send(self, identity: str, model: str, clip: object, revision: str | None = None, top_k: int = 5) -> None:
        question = {"id": identity, "model": model, "revision": revision or self.commits[model], "clip": str(clip)}
        self.send_line(json.dumps({**question, "top_k": top_k}))

    def send_line(self, line: str) -> None:
        assert self.process.stdin
        print(line, file=self.process.stdin, flush=True)

    def receive(self) -> dict:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def ask(self, *question: object, **details: object) -> dict:
        self.send("q", *question, **details)
        return self.receive()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Models whole and otherwise, and clips whole and otherwise."""
    folder = tmp_path_factory.mktemp("predictions")
    save_tiny_model(folder / "one", seed=1)
    save_tiny_model(folder / "two", seed=2)
    save_tiny_model(folder / "unprocessed", has_processor=False)
    save_tiny_model(folder / "trunk", is_classifier=False)
    save_network_of_transformers(folder / "theirs")
    save_model_with_code(folder / "coded", folder / "code-ran")
    (folder / "text").mkdir()
    (folder / "text" / "config.json").write_text(json.dumps({"model_type": "bert", "architectures": ["BertModel"]}))
    shutil.copy(folder / "one" / "video_preprocessor_config.json", folder / "text")
    write_clip(folder / "clip.mp4", moving_square(num_frames=20, height=144, width=192))
    (folder / "broken.mp4").write_bytes(b"this is no video")
    return folder


def save_network_of_transformers(folder):
    """As transformers saves it, with the file of its own processor."""
    architecture = FOREIGN_ARCHITECTURES["videomae"]
    torch.manual_seed(0)
    architecture.task_model(architecture.tiny_config(id2label={0: "walk", 1: "run", 2: "jump"})).save_pretrained(folder)
    numbers = {"do_resize": True, "size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}
    (folder / "preprocessor_config.json").write_text(json.dumps(numbers))


def save_model_with_code(folder, trace):
    save_tiny_model(folder)
    (folder / "code.py").write_text(f"open({str(trace)!r}, 'w').close()\nclass Config: ...\nclass Model: ...\n")
    config = json.loads((folder / "config.json").read_text())
    classes = {"AutoConfig": "code.Config", "AutoModelForVideoClassification": "code.Model"}
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "coded", "auto_map": classes}))


@pytest.fixture(scope="module")
def predictions(folder):
    with serve_hub(folder / "server") as server:
        names = ("one", "two", "theirs", "unprocessed", "trunk", "coded", "text")
        commits = {f"lab/{name}": put_into_hub(server.hub, f"lab/{name}", folder / name) for name in names}
        predictions = Predictions(server.make_environment(token=None), commits)
        yield predictions
        predictions.process.kill()
        predictions.process.wait()


def expected_labels(folder, model: str, clip: object) -> Labels:
    return VideoClassificationPipeline(folder / model)(str(clip))


def test_labels_are_those_of_the_pipeline_and_answers_come_in_order(predictions, folder):
    clip = folder / "clip.mp4"
    for identity, model in enumerate(("one", "two", "one")):
        predictions.send(str(identity), f"lab/{model}", clip)
    for identity, model in enumerate(("one", "two", "one")):
        answer = predictions.receive()
        assert answer["id"] == str(identity)
        labels = expected_labels(folder, model, clip)
        assert [label["label"] for label in answer["labels"]] == [label["label"] for label in labels]
        assert [label["score"] for label in answer["labels"]] == pytest.approx([label["score"] for label in labels])
        assert answer["seconds"]["load"] > 0.01  # one is kept, and each came after another


def test_a_network_of_transformers_answers_with_the_frames_that_it_saw(predictions, folder):
    answer = predictions.ask("lab/theirs", folder / "clip.mp4")
    labels = expected_labels(folder, "theirs", folder / "clip.mp4")
    assert [label["label"] for label in answer["labels"]] == [label["label"] for label in labels]
    assert [label["score"] for label in answer["labels"]] == pytest.approx([label["score"] for label in labels])
    assert len(answer["frames"]) == 4


def test_a_model_that_is_kept_is_not_loaded_again(predictions, folder):
    predictions.ask("lab/two", folder / "clip.mp4")
    answer = predictions.ask("lab/two", folder / "clip.mp4", top_k=2)
    assert len(answer["labels"]) == 2
    assert answer["seconds"]["load"] < 0.01


def test_the_frames_are_those_that_the_model_saw_in_order(predictions, folder):
    pictures = [decode(frame) for frame in predictions.ask("lab/one", folder / "clip.mp4")["frames"]]
    everything = decode_from_start(folder / "clip.mp4").float()
    small = torch.nn.functional.interpolate(everything, pictures[0].shape[-2:], mode="bilinear", antialias=True)
    nearest = [int((small - picture).abs().mean((1, 2, 3)).argmin()) for picture in pictures]
    assert nearest == [0, 5, 10, 15]


def test_a_real_clip_has_labels_and_small_frames(predictions, folder, shared_data):
    clip = shared_data / "clips" / "v_SoccerJuggling_g23_c01.avi"
    answer = predictions.ask("lab/one", clip)
    labels = expected_labels(folder, "one", clip)
    assert [label["score"] for label in answer["labels"]] == pytest.approx([label["score"] for label in labels])
    assert min(decode(answer["frames"][0]).shape[-2:]) == 36  # the decoder scaled them for the model


@pytest.mark.parametrize(
    ("model", "clip", "message"),
    [
        ("lab/one", "broken.mp4", "broken.mp4"),
        ("lab/one", "none.mp4", "none.mp4"),
        ("lab/none", "clip.mp4", "the model 'lab/none' cannot be loaded"),
        ("lab/unprocessed", "clip.mp4", "preprocessor_config.json"),
        ("lab/text", "clip.mp4", "the architecture 'bert' is not known"),
        ("lab/trunk", "clip.mp4", "is no whole video classifier: it lacks head.classifier"),
        ("lab/coded", "clip.mp4", "trust_remote_code"),
        ("/tmp", "clip.mp4", "only models of the hub"),
    ],
)
def test_what_is_wrong_is_answered_and_the_process_lives_on(predictions, folder, model, clip, message):
    revision = predictions.commits.get(model, "0" * 40)
    answer = predictions.ask(model, folder / clip, revision=revision)
    assert set(answer) == {"id", "error"}
    assert message in answer["error"]
    assert len(predictions.ask("lab/one", folder / "clip.mp4")["labels"]) == 5
    assert not (folder / "code-ran").exists()


@pytest.mark.parametrize("line", ["no JSON", "[]", '{"id": "a"}', '{"id": "a", "surprise": 1}'])
def test_a_line_that_is_no_question_is_answered(predictions, line):
    predictions.send_line(line)
    assert "id, model, revision, clip, top_k" in predictions.receive()["error"]


def test_of_many_frames_sixteen_are_shown_evenly():
    assert choose_evenly(torch.arange(31), 16).tolist() == list(range(0, 31, 2))
    assert choose_evenly(torch.arange(4), 16).tolist() == [0, 1, 2, 3]


def test_it_ends_when_its_input_does(predictions):  # the last test: it ends the process
    rest, _ = predictions.process.communicate(timeout=20)
    assert (rest, predictions.process.returncode) == ("", 0)


def decode(frame: str) -> torch.Tensor:
    """A picture (C, H, W)."""
    image = Image.open(io.BytesIO(base64.b64decode(frame)))
    assert image.format == "JPEG"
    return (
        torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).reshape(*image.size[::-1], 3).permute(2, 0, 1)
    )
