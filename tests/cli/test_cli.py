import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import muybridge
from clips import moving_square, write_clip
from golden import Golden
from muybridge.cards import parse_card, write_card
from muybridge.cli import COMMANDS, main
from muybridge.conversion import SOURCES
from muybridge.conversion.file_conversion import make_card_facts
from muybridge.models import ARCHITECTURES


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A file in torchvision's layout, wrapped as a training script leaves it."""
    path = tmp_path_factory.mktemp("weights") / "mc3.pth"
    tensors = Golden.load("torchvision_mc3_18").state_dict()
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in tensors.items()}}, path)
    return path


@pytest.fixture(scope="module")
def checkpoint(weights, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints") / "mc3"
    assert main(["convert", "torchvision/mc3_18", str(weights), "--output", str(folder), "--verify"]) == 0
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for index in range(3):
        write_clip(folder / f"{index}.mp4", moving_square(num_frames=20, height=48, width=64))
    (folder / "broken.mp4").write_bytes(b"this is no video")
    return folder


def test_convert_writes_a_complete_checkpoint(checkpoint):
    names = {path.name for path in checkpoint.iterdir()}
    assert names == {"README.md", "config.json", "model.safetensors", "video_preprocessor_config.json"}
    config = json.loads((checkpoint / "config.json").read_text())
    assert config["id2label"]["0"] == "abseiling"
    assert config["protocol"] == {"num_clips": 5}


def test_a_card_claims_the_publishers_numbers_for_the_published_file_alone(checkpoint):
    text = (checkpoint / "README.md").read_text()  # of a file with another sha256
    assert parse_card(text)["license"] == "unknown"
    assert "63.96" not in text
    source = SOURCES["torchvision/mc3_18"]
    facts = make_card_facts(source, "muybridge convert …", "mc3", is_published=True)
    text = write_card(source.architecture.task_model(source.config({}, num_labels=400)), facts)
    assert parse_card(text)["license"] == "bsd-3-clause"
    assert parse_card(text)["datasets"] == ["kinetics400"]
    assert "63.96%" in text
    assert "@inproceedings{tran2018closer" in text


def test_a_converted_saved_and_loaded_network_gives_the_logits_of_the_original(checkpoint):
    from transformers import AutoModelForVideoClassification

    golden = Golden.load("torchvision_mc3_18")
    with torch.inference_mode():
        logits = AutoModelForVideoClassification.from_pretrained(checkpoint).eval()(golden.clip()).logits.flatten()
    assert torch.dist(logits[:64].double(), golden.logits) < 1e-5 * golden.logits.norm()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["torchvision/r3d_18", "{weights}", "--output", "{out}"], "They fit torchvision/mc3_18: use that source"),
        (["torchvision/r3d", "{weights}", "--output", "{out}"], "'torchvision/r3d' is not known"),
        (["torchvision/mc3_18", "none.pth", "--output", "{out}"], "none.pth: no such file"),
        (
            ["torchvision/mc3_18", "{weights}", "--output", "{out}", "--labels", "ucf101"],
            "101 labels for a classifier of 400",
        ),
        (
            ["torchvision/mc3_18", "{weights}", "--output", "{out}", "--labels", "nothing"],
            "neither a file nor a known data set",
        ),
        (["torchvision/mc3_18", "{weights}", "--output", "{weights}"], "exists already"),
    ],
)
def test_convert_says_what_is_wrong_and_leaves_nothing(weights, tmp_path, capsys, arguments, message):
    words = [word.format(weights=weights, out=tmp_path / "out") for word in arguments]
    assert main(["convert", *words]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_verify_refuses_weights_with_broken_numbers_and_leaves_nothing(tmp_path, capsys):
    tensors = Golden.load("torchvision_mc3_18").state_dict()
    tensors["fc.bias"][0] = torch.nan
    torch.save(tensors, tmp_path / "weights.pth")
    assert (
        main(
            [
                "convert",
                "torchvision/mc3_18",
                str(tmp_path / "weights.pth"),
                "--output",
                str(tmp_path / "out"),
                "--verify",
            ]
        )
        == 2
    )
    assert "not finite" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pth"]


def test_classify_prints_a_table_a_person_can_read(checkpoint, clips, capsys):
    assert main(["classify", str(clips / "0.mp4"), "--model", str(checkpoint), "--top-k", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(clips / "0.mp4")
    assert len(lines) == 3
    assert "%" in lines[1]


def test_classify_prints_a_line_of_json_a_video_and_lists_the_unreadable(checkpoint, clips, capsys):
    names = [str(clips / name) for name in ("0.mp4", "broken.mp4", "1.mp4", "none.mp4")]
    status = main(["classify", *names, "--model", str(checkpoint), "--json", "--fast", "--num-clips", "2"])
    output = capsys.readouterr()
    results = [json.loads(line) for line in output.out.splitlines()]
    assert status == 1
    assert [result["video"] for result in results] == names
    assert [len(result.get("labels", [])) for result in results] == [5, 0, 5, 0]
    assert "not a video" in results[1]["error"]
    assert "broken.mp4" in output.err
    assert "none.mp4" in output.err
    assert "0.mp4" not in output.err.split("skipped:")[1]


def test_a_folder_stands_for_the_videos_in_it(checkpoint, clips, tmp_path, capsys):
    assert main(["classify", str(clips), "--model", str(checkpoint), "--json"]) == 1
    videos = [json.loads(line)["video"] for line in capsys.readouterr().out.splitlines()]
    assert videos == [str(clips / name) for name in ("0.mp4", "1.mp4", "2.mp4", "broken.mp4")]
    assert main(["classify", str(tmp_path), "--model", str(checkpoint)]) == 2
    assert f"the folder {tmp_path} holds no videos" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--top-k", "--num-clips", "--batch-size"])
def test_classify_refuses_numbers_that_mean_nothing(checkpoint, clips, capsys, flag):
    with pytest.raises(SystemExit, match="2"):
        main(["classify", str(clips / "0.mp4"), "--model", str(checkpoint), flag, "0"])
    assert "0 is not 1 or more" in capsys.readouterr().err


def test_a_truncated_checkpoint_and_a_file_of_weights_are_named(checkpoint, weights, clips, tmp_path, capsys):
    broken = shutil.copytree(checkpoint, tmp_path / "broken")
    content = (broken / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(content[: len(content) // 2])
    for model, message in ((broken, "cannot be loaded"), (weights, "`muybridge convert` makes a model")):
        assert main(["classify", str(clips / "0.mp4"), "--model", str(model)]) == 2
        error = capsys.readouterr().err
        assert str(model) in error
        assert message in error


def test_classify_stops_at_the_first_unreadable_file_where_told_to(checkpoint, clips, capsys):
    words = [str(clips / "broken.mp4"), str(clips / "0.mp4"), "--model", str(checkpoint), "--errors", "raise"]
    assert main(["classify", *words]) == 2
    assert "broken.mp4" in capsys.readouterr().err


def test_info_describes_a_video(clips, capsys):
    assert main(["info", str(clips / "0.mp4"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["num_frames"], facts["height"], facts["width"]) == (20, 48, 64)
    assert facts["is_num_frames_exact"]
    assert main(["info", str(clips / "0.mp4")]) == 0
    assert "is num frames exact  yes" in capsys.readouterr().out


def test_info_describes_a_model(checkpoint, capsys):
    assert main(["info", str(checkpoint), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["parameters"] == 11_695_440
    assert facts["gmacs_a_clip"] == pytest.approx(43.343, abs=0.01)  # what torchvision states
    assert facts["licence"] == "unknown"  # the tests' weights are not the published ones
    assert facts["protocol"] == "5 clips × 1 crop, mean of softmax"


def test_a_model_with_a_broken_config_is_named(checkpoint, clips, tmp_path, capsys):
    config = json.loads((checkpoint / "config.json").read_text())
    for change, message in (({"num_frame": 3}, "has no field 'num_frame'"), ({"num_frames": "3"}, "expected int")):
        (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
        assert main(["classify", str(clips / "0.mp4"), "--model", str(tmp_path)]) == 2
        error = capsys.readouterr().err
        assert str(tmp_path) in error
        assert message in error


@pytest.mark.parametrize("thing", ["none.mp4", "no/such-model", "no/model-2.5"])
def test_info_names_what_is_not_there(thing, capsys):
    assert main(["info", thing]) == 2
    assert thing in capsys.readouterr().err


def test_models_lists_every_architecture_and_source(capsys):
    assert main(["models"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in [*ARCHITECTURES, "torchvision/r3d_18", "kenshohara/r2p1d_50", "davidea/c3d"])


def test_every_command_explains_itself_and_imports_nothing_of_the_others(capsys):
    for name in COMMANDS:
        with pytest.raises(SystemExit, match="0"):
            main([name, "--help"])
        assert f"muybridge {name}" in capsys.readouterr().out


def test_an_unknown_command_lists_the_known_ones(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["clasify"])
    assert "classify" in capsys.readouterr().err


def test_the_version_is_told_and_python_runs_the_command():
    done = subprocess.run([sys.executable, "-m", "muybridge", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"muybridge {muybridge.__version__}\n"


def test_the_command_is_installed():
    command = Path(sys.executable).parent / "muybridge"
    done = subprocess.run([command, "models", "--json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["architectures"]
