"""What users get wrong and what machines run out of: the message names it, and what was good stays good."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForVideoClassification

from muybridge.cli import main
from muybridge.data.sprites import write_sprites
from muybridge.models import ARCHITECTURES
from muybridge.training import train
from muybridge.training.state import list_saved_states
from training_runs import finish, make_settings, read_weights, start

# A disk that is full, for a process that may write small files alone; it needs no rights and harms nobody else.
FULL_DISK = (
    "-c",
    "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
    "del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')",
)


@pytest.fixture(scope="module")
def sprites(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "sprites"
    write_sprites(
        folder, num_clips=8, classes=["left", "right"], num_frames=4, size=32, test_share=0.5, show_progress=False
    )
    (folder / "labels.csv").unlink()  # the folders are the list
    return folder


@pytest.fixture
def data(sprites, tmp_path):
    """Clips to be spoiled."""
    return shutil.copytree(sprites, tmp_path / "sprites")


@pytest.fixture(scope="module")
def finished(sprites, tmp_path_factory):
    """A run of four steps, with states of the third and the fourth."""
    settings = make_settings(sprites, tmp_path_factory.mktemp("runs") / "run", batch_size=2, save_every_steps=1)
    finish(start(settings))  # with the threads of the others, on which the last bits depend
    return settings


def error_of_command(data, output, capsys, *words):
    """What the command says of it, which is all that a user sees."""
    fields = [f"{name}={json.dumps(value)}" for name, value in ARCHITECTURES["c3d"].tiny.items()]
    tiny = ["--model", "c3d", "--num-frames", "4", "--image-size", "32", "--model-fields", *fields]
    assert main(["train", str(data), "--output", str(output), "--trackers", *tiny, *words]) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error


# Data.


def test_a_class_folder_without_clips_is_named(data, tmp_path, capsys):
    empty = data / "train" / "up"
    empty.mkdir()
    error = error_of_command(data, tmp_path / "run", capsys)
    assert f"the class folder {empty} holds no videos; add clips or remove it" in error


def test_data_of_a_single_class_are_refused(data, tmp_path, capsys):
    for split in ("train", "test"):
        shutil.rmtree(data / split / "right")
    error = error_of_command(data, tmp_path / "run", capsys)
    assert "sprites, split 'train': all 2 clips have the label 'left'; a classifier learns nothing from them" in error


def test_a_training_split_of_a_single_class_is_refused_whatever_else_the_data_hold(data, tmp_path, capsys):
    shutil.rmtree(data / "train" / "right")
    error = error_of_command(data, tmp_path / "run", capsys)
    assert "sprites, split 'train': all 2 clips have the label 'left'" in error
    assert "add clips of another class" in error


def test_training_clips_without_a_label_are_named(data, tmp_path, capsys):
    clip = next((data / "train" / "left").iterdir())
    clip.rename(data / "train" / clip.name)
    error = error_of_command(data, tmp_path / "run", capsys)
    assert f"1 of 4 clips have no label: {data / 'train' / clip.name}; put them into folders of their classes" in error


@pytest.mark.parametrize("flag", ["--split", "--evaluation-split"])
def test_a_split_that_is_not_there_is_named_beside_those_that_are(data, tmp_path, capsys, flag):
    error = error_of_command(data, tmp_path / "run", capsys, flag, "holdout")
    assert "no split 'holdout'; it has test, train" in error


@pytest.mark.parametrize("num_workers", ["0", "1"])
@pytest.mark.parametrize(
    ("policy", "message"), [("skip", "50 videos in a row cannot be read, such as\n  "), ("raise", "")]
)
def test_where_no_clip_can_be_read_some_are_named_with_the_reason(data, tmp_path, capsys, policy, message, num_workers):
    for path in data.rglob("*.mp4"):
        path.write_bytes(b"no video")
    error = error_of_command(data, tmp_path / "run", capsys, "--errors", policy, "--num-workers", num_workers)
    assert f"muybridge train: {message}{data / 'train'}" in error
    assert "this is not a video" in error
    assert "`muybridge check` lists what cannot be read" in error


def test_features_to_be_cached_name_the_clip_too(data, tmp_path, capsys):
    next(data.rglob("train/*/*.mp4")).write_bytes(b"no video")
    frozen = ["--trained", "classifier", "--no-augment", "--cache-features", "--errors", "raise"]
    error = error_of_command(data, tmp_path / "run", capsys, *frozen, "--num-workers", "1")
    assert f"muybridge train: {data / 'train'}" in error
    assert "this is not a video" in error


# Checkpoints to start from.


def further(finished, data, output):
    fresh = {"model": str(Path(finished.output) / "model"), "num_frames": None, "image_size": None, "model_fields": {}}
    return make_settings(data, output, steps=1, **fresh)


def test_a_checkpoint_trained_on_other_labels_gets_a_new_classifier(finished, data, tmp_path):
    for split in ("train", "test"):
        (data / split / "left").rename(data / split / "waving")
    folder = train(further(finished, data, tmp_path / "run"))
    model = AutoModelForVideoClassification.from_pretrained(folder)
    assert [model.config.id2label[index] for index in range(2)] == ["right", "waving"]


def test_a_config_of_another_architecture_than_the_weights_is_named(finished, sprites, tmp_path):
    folder = shutil.copytree(Path(finished.output) / "model", tmp_path / "model")
    ARCHITECTURES["video_resnet"].tiny_config().save_pretrained(folder)
    settings = replace(further(finished, sprites, tmp_path / "run"), model=str(folder))
    with pytest.raises(
        ValueError, match=rf"{folder}: config.json says video_resnet, but .* the weights of c3d; put back"
    ):
        train(settings)


# A full disk.


def copy_of(finished, folder):
    shutil.copytree(finished.output, folder)
    return replace(finished, output=str(folder))


def fail(process):
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 1, said
    assert "Traceback" not in said
    return said


def assert_same_weights(folder, others):
    expected = read_weights(Path(others.output) / "model")
    found = read_weights(folder / "model")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_state_that_finds_no_room_leaves_the_last_good_one_to_go_on_from(finished, tmp_path):
    folder = tmp_path / "run"
    settings = copy_of(finished, folder)
    shutil.rmtree(folder / "model")
    shutil.rmtree(list_saved_states(folder)[-1])
    said = fail(start(settings, "--resume", launcher=FULL_DISK))
    assert f"the state of step 4 cannot be saved in {folder}" in said
    assert "File too large" in said
    assert "make room and go on with --resume" in said
    assert [path.name for path in (folder / "states").iterdir()] == ["step-00000003"]
    finish(start(settings, "--resume"))
    assert_same_weights(folder, finished)


def test_a_checkpoint_that_finds_no_room_leaves_the_earlier_one(finished, tmp_path):
    folder = tmp_path / "run"
    settings = copy_of(finished, folder)
    (folder / "model" / "config.json").unlink()  # so it is written again
    before = sorted(path.name for path in folder.iterdir())
    said = fail(start(settings, "--resume", launcher=FULL_DISK))
    assert f"the checkpoint {folder / 'model'} cannot be written" in said
    assert sorted(path.name for path in folder.iterdir()) == before
    assert_same_weights(folder, finished)


def test_a_finished_run_that_is_asked_for_again_keeps_its_card(finished, tmp_path):
    folder = tmp_path / "run"
    settings = copy_of(finished, folder)
    with (folder / "model" / "README.md").open("a") as card:
        card.write("\n## A note\n\nWritten by hand.\n")
    finish(start(settings, "--resume"))
    assert (folder / "model" / "README.md").read_text().endswith("Written by hand.\n")
    assert len((folder / "metrics.jsonl").read_text()) == len((Path(finished.output) / "metrics.jsonl").read_text())


def test_two_data_sets_of_one_name_are_refused(sprites, tmp_path):
    other = shutil.copytree(sprites, tmp_path / sprites.name)
    with pytest.raises(ValueError, match=f"the data sets are called {sprites.name}, {sprites.name}; rename"):
        train(replace(make_settings(sprites, tmp_path / "run"), data=[str(sprites), str(other)]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model-fields", "depth=[1,1]"], "has no field 'depth'"),
        (["--image-size", "-4"], "4 frames of -4×-4 vanish"),
        (["--processor-fields", "sampling=unifrm"], "'uniform', 'dense', 'segments'"),
        (["--errors", "skp"], "skp"),
    ],
)
def test_fields_that_cannot_be_are_named_and_leave_no_run(data, tmp_path, capsys, words, message):
    assert message in error_of_command(data, tmp_path / "run", capsys, *words)
    assert not (tmp_path / "run" / "settings.json").exists()


def test_what_was_skipped_is_told_in_the_end(data, tmp_path, capsys):
    next(data.rglob("train/*/*.mp4")).write_bytes(b"no video")
    train(make_settings(data, tmp_path / "run", epochs=2))
    assert f"1 clips cannot be read, and others took their places; {tmp_path / 'run'}" in capsys.readouterr().out


def test_a_label_that_no_clip_teaches_is_told(data, tmp_path, capsys):
    (data / "test" / "left").rename(data / "test" / "lefft")
    train(make_settings(data, tmp_path / "run", epochs=1))
    assert f"{data.name}: split 'test' has labels that no clip teaches: lefft" in capsys.readouterr().out
