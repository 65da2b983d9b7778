import os
import signal
import subprocess
import sys

import pytest

from muybridge.checkpoints import move, save_checkpoint
from muybridge.models import ARCHITECTURES


@pytest.fixture
def parts():
    architecture = ARCHITECTURES["video_resnet"]
    return architecture.task_model(architecture.tiny_config()), architecture.processor(), "a card"


def test_a_checkpoint_has_all_its_files_and_is_readable_by_others(parts, tmp_path):
    folder = save_checkpoint(tmp_path / "deep" / "model", *parts)
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "config.json", "model.safetensors", "video_preprocessor_config.json",
    ]  # fmt: skip
    assert folder.stat().st_mode & 0o755 == 0o755
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in folder.iterdir())
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_what_fails_a_check_is_not_written(parts, tmp_path):
    def refuse(folder):
        assert (folder / "model.safetensors").is_file()
        raise ValueError("not good enough")

    with pytest.raises(ValueError, match="not good enough"):
        save_checkpoint(tmp_path / "model", *parts, check=refuse)
    assert not list(tmp_path.iterdir())


def test_an_existing_checkpoint_is_not_overwritten(parts, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "precious").touch()
    with pytest.raises(FileExistsError, match="model exists already; choose another place"):
        save_checkpoint(tmp_path / "model", *parts)
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["precious"]


def test_a_kill_while_writing_leaves_no_half_checkpoint(tmp_path):
    program = (
        "import sys, time\n"
        "from muybridge.checkpoints import save_checkpoint\n"
        "from muybridge.models import ARCHITECTURES\n"
        "architecture = ARCHITECTURES['video_resnet']\n"
        "def wait(folder): print('written', flush=True); time.sleep(60)\n"
        "model = architecture.task_model(architecture.tiny_config())\n"
        "save_checkpoint(sys.argv[1], model, architecture.processor(), 'a card', check=wait)"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "model")], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"written\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "model").exists()


def test_a_checkpoint_takes_the_place_of_an_earlier_one(parts, tmp_path):
    folder = save_checkpoint(tmp_path / "model", *parts)
    save_checkpoint(folder, *parts[:2], "another card", replace=True)
    assert (folder / "README.md").read_text() == "another card"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_earlier_one_comes_back_where_the_new_one_cannot_take_its_place(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").touch()
    with pytest.raises(FileNotFoundError):
        move(tmp_path / "not-there", tmp_path / "model")
    assert (tmp_path / "model" / "old").exists()
