import json
import shutil

import numpy as np
import pytest

from muybridge.cli import main
from muybridge.evaluation import Scores


@pytest.fixture(scope="module")
def results(checkpoints, video_folder, tmp_path_factory):
    """What `evaluate` leaves of two networks."""
    folder = tmp_path_factory.mktemp("results")
    models = [str(checkpoint) for checkpoint in checkpoints]
    assert main(["evaluate", str(video_folder), "--model", *models, "--output", str(folder)]) == 1
    return folder


def test_evaluate_writes_a_folder_for_each_model(results, checkpoints):
    for number, checkpoint in enumerate(checkpoints, start=1):
        facts = json.loads((results / str(number) / "results.json").read_text())
        assert facts["model"] == str(checkpoint)
        assert facts["num_unreadable"] == 1
        assert (results / str(number) / "confusion.png").is_file()


def test_evaluate_prints_a_table_the_spread_and_what_is_unreadable(checkpoints, video_folder, capsys):
    models = [str(checkpoint) for checkpoint in checkpoints]
    assert main(["evaluate", str(video_folder), "--model", *models, "--protocol", "video-10x1"]) == 1
    output = capsys.readouterr()
    assert output.out.count("10 clips × 1 crop, mean of softmax") == 2
    assert "mean and deviation of 2 results" in output.out
    assert "unreadable: up/broken.mp4: this is not a video" in output.err


def test_evaluate_speaks_json(checkpoints, video_folder, tmp_path, capsys):
    groups = tmp_path / "groups.json"
    groups.write_text('{"sideways": ["left", "right"]}')
    words = [str(video_folder), "--groups", str(groups), "--leave-out-unreadable", "--json"]
    assert main(["evaluate", *words, "--model", str(checkpoints[0])]) == 1
    facts = json.loads(capsys.readouterr().out)
    assert facts["num_videos"] == 9
    assert facts["group_average_precision"].keys() == {"sideways"}


def test_evaluate_takes_the_split_that_is_named(checkpoints, video_folder, tmp_path, capsys):
    manifest = tmp_path / "videos.csv"
    rows = [f"{video_folder}/{label}/{index}.mp4,{label},{split}"
            for index, split in enumerate(("train", "val", "test")) for label in ("left", "right", "up")]  # fmt: skip
    manifest.write_text("\n".join(["path,label,split", *rows]) + "\n")
    words = ["evaluate", str(manifest), "--model", str(checkpoints[0])]
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["num_videos"] == 3
    assert main([*words, "--split", "dev"]) == 2
    assert "no split 'dev'; it has train, val, test" in capsys.readouterr().err


def test_sets_of_labels_of_a_manifest_are_judged_and_fused(checkpoints, video_folder, tmp_path, capsys):
    models = []
    for number, checkpoint in enumerate(checkpoints):
        models.append(str(shutil.copytree(checkpoint, tmp_path / f"model-{number}")))
        config = json.loads((checkpoint / "config.json").read_text())
        changed = {**config, "problem_type": "multi_label_classification"}
        (tmp_path / f"model-{number}" / "config.json").write_text(json.dumps(changed))
    rows = [f"{video_folder}/{label}/{index}.mp4,{label}|{'up' if index else 'left'}" for label in ("left", "right")
            for index in (0, 1)]  # fmt: skip
    manifest = tmp_path / "videos.csv"
    manifest.write_text("\n".join(["path,labels", *rows]).replace("left|left", "left") + "\n")
    assert main(["evaluate", str(manifest), "--model", *models, "--output", str(tmp_path / "results")]) == 0
    printed = capsys.readouterr().out
    assert "mAP" in printed
    assert "Hit@" not in printed
    files = [str(tmp_path / "results" / name) for name in "12"]
    facts = json.loads((tmp_path / "results" / "1" / "results.json").read_text())
    assert {row["label"]: row["num_videos"] for row in facts["classes"]} == {"left": 3, "right": 2, "up": 2}
    assert main(["fuse", *files, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"].keys() == facts["metrics"].keys()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere", "--model", "{model}"], "nowhere"),
        (["{data}", "--model", "nowhere"], "the model 'nowhere' cannot be loaded"),
        (["{data}", "--model", "{model}", "{model}", "--fold", "1", "2", "3"], "2 models and 3 folds"),
        (["{data}", "--model", "{model}", "--errors", "raise"], "broken.mp4: this is not a video"),
    ],
)
def test_evaluate_says_what_is_wrong(checkpoints, video_folder, capsys, words, message):
    words = [word.format(model=checkpoints[0], data=video_folder) for word in words]
    assert main(["evaluate", *words]) == 2
    assert message in capsys.readouterr().err


def test_fuse_reads_the_folders_that_evaluate_wrote(results, tmp_path, capsys):
    first, second = str(results / "1"), str(results / "2" / "scores.safetensors")
    assert main(["fuse", first, second, "--output", str(tmp_path / "fused")]) == 0
    assert "video Hit@1" in capsys.readouterr().out
    fused = Scores.load(tmp_path / "fused" / "scores.safetensors")
    parts = [np.exp(Scores.load(results / name / "scores.safetensors").get_video_log_probabilities()) for name in "12"]
    np.testing.assert_allclose(np.exp(fused.get_video_log_probabilities()), sum(parts) / 2, rtol=1e-5)


def test_fuse_weighs_and_learns(results, capsys):
    files = [str(results / "1"), str(results / "2")]
    assert main(["fuse", *files, "--method", "weighted", "--weights", "1", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["weights"] == [1, 2]
    assert main(["fuse", *files, "--method", "svm", "--train", *files, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fusion"] == "svm"


def test_fuse_says_what_is_wrong(results, tmp_path, capsys):
    assert main(["fuse", str(results / "1"), str(tmp_path / "none")]) == 2
    assert "none: no such file of scores" in capsys.readouterr().err
    assert main(["fuse", str(results / "1")]) == 2
    assert "needs two or more" in capsys.readouterr().err
