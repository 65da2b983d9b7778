import json
import os
import pickle
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file

from muybridge.conversion import ConversionError, read_weights

TENSORS = {"fc.weight": torch.rand(3, 4), "fc.bias": torch.rand(3)}


def assert_same(tensors):
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize(
    "content",
    [
        TENSORS,
        OrderedDict(TENSORS),
        {"state_dict": TENSORS, "epoch": 3, "arch": "resnet-18"},
        {"model": {f"module.{name}": tensor for name, tensor in TENSORS.items()}},
        {"state_dict": {f"module._orig_mod.{name}": tensor for name, tensor in TENSORS.items()}},
        {"state_dict": {f"_orig_mod.module.{name}": tensor for name, tensor in TENSORS.items()}},
    ],
    ids=["plain", "ordered", "training state", "data parallel", "compiled", "compiled data parallel"],
)
def test_tensors_are_found_wherever_training_scripts_put_them(tmp_path, content):
    torch.save(content, tmp_path / "weights.pth")
    assert_same(read_weights(tmp_path / "weights.pth").state_dict)


def test_the_format_of_pytorch_before_1_6_is_read(tmp_path):
    torch.save(TENSORS, tmp_path / "weights.pt", _use_new_zipfile_serialization=False)
    assert_same(read_weights(tmp_path / "weights.pt").state_dict)


def test_safetensors_are_read_with_the_labels_in_their_metadata(tmp_path):
    save_file(TENSORS, tmp_path / "weights.safetensors", {"id2label": json.dumps({"1": "run", "0": "walk"})})
    weights = read_weights(tmp_path / "weights.safetensors")
    assert_same(weights.state_dict)
    assert weights.labels == ["walk", "run"]


@pytest.mark.parametrize("labels", [{"classes": ["walk", "run"]}, {"class_to_idx": {"run": 1, "walk": 0}}])
def test_labels_beside_the_tensors_are_found(tmp_path, labels):
    torch.save({"state_dict": TENSORS, **labels}, tmp_path / "weights.pth")
    assert read_weights(tmp_path / "weights.pth").labels == ["walk", "run"]


@pytest.mark.parametrize("value", [400, "walk", torch.tensor([0, 1])])
def test_what_is_only_called_like_labels_is_passed_over(tmp_path, value):
    torch.save({"state_dict": TENSORS, "classes": value}, tmp_path / "weights.pth")
    assert read_weights(tmp_path / "weights.pth").labels is None


@pytest.mark.parametrize("value", [{"a": "b"}, [1, 2]])
def test_labels_that_are_no_names_are_refused(tmp_path, value):
    torch.save({"state_dict": TENSORS, "classes": value}, tmp_path / "weights.pth")
    with pytest.raises(ConversionError, match=r"'classes' in the file is not a list of names.*--labels"):
        read_weights(tmp_path / "weights.pth")


def test_metadata_that_is_not_json_is_refused(tmp_path):
    save_file(TENSORS, tmp_path / "weights.safetensors", {"labels": "walk, run"})
    with pytest.raises(ConversionError, match="are not JSON"):
        read_weights(tmp_path / "weights.safetensors")


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


@pytest.mark.parametrize("save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, monkeypatch, save):
    monkeypatch.chdir(tmp_path)
    save({"state_dict": TENSORS, "hook": Bomb()}, tmp_path / "weights.pth")
    with pytest.raises(ConversionError, match=r"weights\.pth: .*run code"):
        read_weights(tmp_path / "weights.pth")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04 half a zip"])
def test_a_broken_file_is_named(tmp_path, suffix, content):
    path = tmp_path / f"weights.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ConversionError, match=r"weights\.(pth|safetensors)"):
        read_weights(path)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_file_cut_short_is_named(tmp_path, suffix):
    path = tmp_path / f"weights.{suffix}"
    torch.save(TENSORS, path) if suffix == "pth" else save_file(TENSORS, path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ConversionError, match="not a whole"):
        read_weights(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConversionError, match=r"none\.pth: no such file"):
        read_weights(tmp_path / "none.pth")


def test_a_file_without_tensors_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "weights.pth")
    with pytest.raises(ConversionError, match="holds no tensors; its keys are epoch"):
        read_weights(tmp_path / "weights.pth")
