import json
import shutil
import signal
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoModelForVideoClassification

from muybridge.cli import main
from muybridge.data.sprites import write_sprites
from muybridge.training import TrainingError, train
from muybridge.training.progress import read_metrics
from muybridge.training.state import list_saved_states
from training_runs import NUM_CLIPS, finish, kill_when, make_settings, read_weights, start


@pytest.fixture(scope="session")
def sprites(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "sprites"
    write_sprites(folder, num_clips=NUM_CLIPS, num_frames=8, size=32, test_share=1 / 3, show_progress=False)
    return folder


@pytest.fixture(scope="session")
def uninterrupted(sprites, tmp_path_factory):
    """A run with all that draws numbers: dropout, augmentation, mixing; an average; several epochs."""
    folder = tmp_path_factory.mktemp("runs") / "uninterrupted"
    settings = make_settings(sprites, folder, epochs=3, mixup=0.4, average_decay=0.5, num_workers=2, save_every_steps=1)
    finish(start(settings))
    return settings


def test_a_run_leaves_settings_metrics_curves_a_checkpoint_and_a_card(uninterrupted, tmp_path):
    folder = tmp_path.joinpath(uninterrupted.output)
    assert json.loads((folder / "settings.json").read_text())["mixup"] == 0.4
    metrics = read_metrics(folder / "metrics.jsonl")
    assert [line["step"] for line in metrics if "clip_hit_at_1" in line] == [4, 8, 12]
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    model = AutoModelForVideoClassification.from_pretrained(folder / "model")
    assert set(model.config.label2id) == {
        path.name for path in tmp_path.joinpath(uninterrupted.data[0], "train").iterdir()
    }
    assert f"muybridge train {uninterrupted.data[0]} --model c3d" in (folder / "model" / "README.md").read_text()


@pytest.mark.parametrize("step", [1, 5, 8])
def test_a_run_killed_at_any_step_ends_with_the_bits_of_one_that_was_not(uninterrupted, tmp_path, step):
    settings = make_settings(**{**vars(uninterrupted), "data": uninterrupted.data[0], "output": tmp_path / "killed"})
    folder = tmp_path / "killed"
    kill_when(start(settings), lambda: len(list((folder / "states").glob(f"step-{step:08d}*"))) > 0)
    assert not (folder / "model").exists()
    finish(start(settings, "--resume"))
    expected, found = read_weights(tmp_path.joinpath(uninterrupted.output, "model")), read_weights(folder / "model")
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    metrics = read_metrics(folder / "metrics.jsonl")
    assert [line["step"] for line in metrics if "clip_hit_at_1" in line] == [4, 8, 12]


def test_a_run_stopped_with_ctrl_c_is_saved_and_goes_on_to_the_same_bits(uninterrupted, tmp_path):
    settings = make_settings(**{**vars(uninterrupted), "data": uninterrupted.data[0], "output": tmp_path / "stopped"})
    folder = tmp_path / "stopped"
    said = kill_when(start(settings), lambda: len(list_saved_states(folder)) > 1, signal.SIGINT)
    assert "and saved; go on with --resume" in said
    finish(start(settings, "--resume"))
    expected, found = read_weights(tmp_path.joinpath(uninterrupted.output, "model")), read_weights(folder / "model")
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_half_written_state_is_passed_over(sprites, tmp_path):
    settings = make_settings(sprites, tmp_path / "run", epochs=1)
    train(settings)
    newest = list_saved_states(tmp_path / "run")[-1]
    shutil.copytree(newest, newest.with_name("step-00000099.partial"))
    assert list_saved_states(tmp_path / "run")[-1] == newest
    train(settings, resume=True)  # nothing is left to do, and that is no error


def test_two_processes_are_one_with_twice_the_batch(sprites, tmp_path):
    # What `accelerate launch` starts for several GPUs; with --cpu it starts one process, whatever the number.
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    plain = {"augment": False, "dropout": 0.0, "epochs": 2}
    # What comes after training has the processes too.
    finish(start(make_settings(sprites, tmp_path / "two", batch_size=2, **plain), "--evaluate", launcher=launcher))
    assert json.loads((tmp_path / "two" / "results" / "results.json").read_text())["num_videos"] == NUM_CLIPS // 3
    train(make_settings(sprites, tmp_path / "one", batch_size=4, **plain))
    assert_close(
        read_weights(tmp_path / "two" / "model"), read_weights(tmp_path / "one" / "model"), rtol=1e-4, atol=1e-5
    )
    two, one = (read_metrics(tmp_path / name / "metrics.jsonl") for name in ("two", "one"))
    assert [line.get("clip_hit_at_1") for line in two] == [line.get("clip_hit_at_1") for line in one]


def test_accumulated_batches_are_one_large_one(sprites, tmp_path):
    plain = {"augment": False, "dropout": 0.0}
    train(make_settings(sprites, tmp_path / "small", batch_size=2, accumulation_steps=2, **plain))
    train(make_settings(sprites, tmp_path / "large", batch_size=4, **plain))
    assert_close(
        read_weights(tmp_path / "small" / "model"), read_weights(tmp_path / "large" / "model"), rtol=1e-4, atol=1e-5
    )


@pytest.fixture(scope="session")
def checkpoint(sprites, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "first"
    return train(make_settings(sprites, folder, epochs=1))


def further(checkpoint, sprites, output, **fields):
    fresh = {"model": str(checkpoint), "num_frames": None, "image_size": None, "model_fields": {}}
    return make_settings(sprites, output, **{**fresh, **fields})


def changed(before, after):
    return {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}


def test_a_checkpoint_with_the_labels_of_the_data_keeps_its_classifier(checkpoint, sprites, tmp_path):
    folder = train(further(checkpoint, sprites, tmp_path / "run", learning_rate=1e-12, weight_decay=0.0, epochs=1))
    assert_close(read_weights(folder), read_weights(checkpoint), rtol=0, atol=1e-6)


def test_with_the_classifier_alone_the_trunk_keeps_its_bits(checkpoint, sprites, tmp_path):
    folder = train(further(checkpoint, sprites, tmp_path / "run", trained="classifier", epochs=1))
    assert changed(read_weights(checkpoint), read_weights(folder)) == {"head"}


def test_two_steps_train_the_classifier_first_and_then_all(checkpoint, sprites, tmp_path):
    first = {"trained": "two-steps", "classifier_epochs": 1, "schedule": "constant"}
    only = train(further(checkpoint, sprites, tmp_path / "first", **first, steps=4))
    both = train(further(checkpoint, sprites, tmp_path / "both", **first, steps=8))
    assert changed(read_weights(checkpoint), read_weights(only)) == {"head"}
    assert changed(read_weights(checkpoint), read_weights(both)) == {"head", "c3d"}


def test_cached_features_train_the_same_classifier(checkpoint, sprites, tmp_path):
    fields = {"trained": "classifier", "augment": False, "dropout": 0.0, "epochs": 3, "learning_rate": 0.1}
    plain = train(further(checkpoint, sprites, tmp_path / "plain", **fields))
    cached = train(further(checkpoint, sprites, tmp_path / "cached", **fields, cache_features=True))
    assert_close(read_weights(cached), read_weights(plain), rtol=1e-4, atol=1e-5)
    assert (tmp_path / "cached" / "features.safetensors").is_file()


def test_several_data_sets_get_a_classifier_each(sprites, tmp_path):
    other = tmp_path / "appearances"
    write_sprites(other, num_clips=36, num_frames=8, size=32, classes="hard", test_share=1 / 3, show_progress=False)
    train(replace(make_settings(sprites, tmp_path / "run", epochs=1), data=[str(sprites), str(other)]))
    for source in (sprites, other):
        model = AutoModelForVideoClassification.from_pretrained(tmp_path / "run" / f"model-{source.name}")
        assert set(model.config.label2id) == {path.name for path in (source / "train").iterdir()}
    numbers = read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]
    assert {"sprites/clip_hit_at_1", "appearances/clip_hit_at_1"} <= set(numbers)


@pytest.mark.parametrize("fields", [{"optimizer": "adamw"}, {"mixed_precision": "bf16"}, {"channels_last": True}])
def test_every_way_of_training_trains(sprites, tmp_path, fields):
    folder = train(make_settings(sprites, tmp_path / "run", steps=2, cutmix=1.0, max_gradient_norm=1.0, **fields))
    assert all(tensor.isfinite().all() for tensor in read_weights(folder).values())


def test_a_network_with_batch_norm_learns_what_moves_where(tmp_path):
    data = tmp_path / "sprites"
    ways = ["left", "right", "up", "down"]
    write_sprites(data, num_clips=160, classes=ways, num_frames=8, size=32, test_share=1 / 3, show_progress=False)
    fields = {"depths": [1, 1], "hidden_sizes": [8, 16], "convolutions": ["2plus1d", "2plus1d"]}
    settings = make_settings(
        data, tmp_path / "run", model="video_resnet", model_fields=fields, num_frames=8, augment=False, epochs=16,
        batch_size=10, optimizer="adamw", learning_rate=0.01, warmup_epochs=3.0, channels_last=True,
        evaluate_every_epochs=16,
    )  # fmt: skip
    train(settings)
    # Chance is 0.25; eleven other seeds of clips and weights gave 0.81 to 1.
    assert read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]["clip_hit_at_1"] > 0.5


# What can go wrong.


def test_a_loss_that_is_not_finite_names_the_clips_of_its_batch(sprites, tmp_path):
    settings = make_settings(sprites, tmp_path / "run", learning_rate=1e30, epochs=3)
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) at step \d+(.|\n)*\.mp4"):
        train(settings)


def test_a_run_with_other_settings_is_not_continued_unless_allowed(sprites, tmp_path):
    train(make_settings(sprites, tmp_path / "run", steps=2))
    changed_settings = make_settings(sprites, tmp_path / "run", steps=3, learning_rate=0.5)
    with pytest.raises(
        TrainingError, match=r"steps: 2 is now 3(.|\n)*learning_rate: 0.02 is now 0.5(.|\n)*--allow-changes"
    ):
        train(changed_settings, resume=True)
    train(changed_settings, resume=True, allow_changes=True)


def test_a_folder_with_a_run_is_not_overwritten(sprites, tmp_path):
    settings = make_settings(sprites, tmp_path / "run", steps=1)
    train(settings)
    with pytest.raises(TrainingError, match="holds a run already; pass --resume"):
        train(settings)


def test_the_command_trains_and_says_what_is_wrong(sprites, tmp_path, capsys):
    words = ["train", str(sprites), "--model", "c3d", "--output", str(tmp_path / "run"), "--steps", "1"]
    words += ["--num-frames", "16", "--image-size", "32", "--batch-size", "2", "--num-workers", "0", "--trackers"]
    assert main(words) == 0
    assert (tmp_path / "run" / "model" / "config.json").is_file()
    assert main(words) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert main(["train", str(tmp_path / "none"), "--model", "c3d", "--output", str(tmp_path / "other")]) == 2
    assert "none" in capsys.readouterr().err


def test_an_architecture_that_is_not_known_is_named(sprites, tmp_path):
    with pytest.raises(ValueError, match=r"'resnet3d' is neither an architecture.*c3d.*video_resnet"):
        train(make_settings(sprites, tmp_path / "run", model="resnet3d", num_frames=None, image_size=None))
