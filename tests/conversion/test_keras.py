"""Networks that Keras saved convert to LRCNs that give what Keras gave.

The goldens hold networks that Keras 3 and tf_keras saved: the descriptions, under which names their arrays lay in the
file, and what they gave on TensorFlow. Arrays and inputs come from numbers, so that the files can be made again.
"""

import copy
import io
import json
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from transformers import pipeline

from muybridge import VideoClassificationPipeline
from muybridge.cli import main
from muybridge.conversion import ConversionError, convert, read_weights
from muybridge.conversion.file_conversion import convert_file
from muybridge.conversion.reading import READERS
from muybridge.extras import MissingExtraError

FOLDER = Path(__file__).parents[1] / "goldens" / "keras"
GOLDENS = {version: json.loads((FOLDER / f"keras_{version}.json").read_text())["networks"] for version in (2, 3)}
NAMES = list(GOLDENS[3])
LABELS = ["PlayingViolin", "Skiing", "Diving", "Biking"]


def arrays(network):
    made = [
        (0.5 * np.random.default_rng(index).standard_normal(shape)).astype(np.float32)
        for index, shape in enumerate(network["shapes"])
    ]
    for index in network["variances"]:
        made[index] = np.abs(made[index]) + np.float32(0.5)
    return made


def clip(network):
    """(B, T, H, W, C)."""
    return np.random.default_rng(1000).standard_normal(network["input_shape"]).astype(np.float32)


def write(path, network):
    """The file as Keras wrote it."""
    (write_zip if path.suffix == ".keras" else write_hdf5)(path, network)
    return path


def write_zip(path, network):
    given, weights = arrays(network), io.BytesIO()
    with h5py.File(weights, "w") as file:
        for name, index in network["keras"]["datasets"].items():
            file[name] = given[index]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": network["keras"]["version"]}))
        archive.writestr("config.json", json.dumps(network["keras"]["config"]))
        archive.writestr("model.weights.h5", weights.getvalue())


def write_hdf5(path, network):
    given, described = arrays(network), network["h5"]
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(described["config"])
        file.attrs["keras_version"] = described["version"]
        groups = file.create_group("model_weights")
        groups.attrs["layer_names"] = [name.encode() for name, _ in described["layers"]]
        for name, weights in described["layers"]:
            group = groups.create_group(name)
            group.attrs["weight_names"] = [weight.encode() for weight, _ in weights]
            for weight, index in weights:
                group[weight] = given[index]


def converted(path):
    weights = read_weights(path)
    return convert("keras/lrcn", weights.state_dict, fields=weights.fields)


def probabilities(model, network):
    with torch.inference_mode():
        return model(torch.from_numpy(clip(network)).permute(0, 1, 4, 2, 3)).logits.softmax(-1).numpy()


def changed(network, change, file="keras"):
    """The network with its description changed."""
    network = copy.deepcopy(network)
    change(network[file]["config"]["config"]["layers"])
    return network


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_a_converted_network_gives_what_keras_gave(tmp_path, name, version, suffix):
    network = GOLDENS[version][name]
    given = probabilities(converted(write(tmp_path / f"model{suffix}", network)), network)
    expected = np.array(network["output"])
    if expected.shape[1] == 1:  # one score: how likely the second of two labels is
        expected = np.concatenate([1 - expected, expected], axis=1)
    np.testing.assert_allclose(given, expected, atol=1e-6)


def lstm(kernel, of_state, bias, frames):
    """Keras's LSTM in numpy: the state after the last of the frames (T, D)."""
    sigmoid = lambda values: 1 / (1 + np.exp(-values))  # noqa: E731
    hidden = memory = np.zeros(len(of_state))
    for frame in frames:
        admit, keep, new, show = np.split(frame @ kernel + hidden @ of_state + bias, 4)
        memory = sigmoid(keep) * memory + sigmoid(admit) * np.tanh(new)
        hidden = sigmoid(show) * np.tanh(memory)
    return hidden


def convolve_same(image, kernel, bias, strides):
    """TensorFlow's convolution of an image (H, W, C), padded to ⌈size / stride⌉ places."""
    (rows, columns), (height, width) = strides, kernel.shape[:2]
    places = [-(-size // stride) for size, stride in zip(image.shape[:2], strides, strict=True)]
    missing = [
        max((place - 1) * stride + size - extent, 0)
        for place, stride, size, extent in zip(places, strides, (height, width), image.shape[:2], strict=True)
    ]
    padded = np.pad(image, [(total // 2, total - total // 2) for total in missing] + [(0, 0)])
    return np.array(
        [
            [
                np.tensordot(padded[y * rows : y * rows + height, x * columns : x * columns + width], kernel, 3) + bias
                for x in range(places[1])
            ]
            for y in range(places[0])
        ]
    )


def test_a_converted_network_gives_what_keras_documents_in_numpy(tmp_path):
    network = GOLDENS[3]["average"]  # a convolution, all of it flattened, an LSTM, a label for every frame
    kernel, bias, *recurrent, dense, dense_bias = arrays(network)
    expected = []
    for frames in clip(network).astype(np.float64):
        features = [np.maximum(convolve_same(frame, kernel, bias, (2, 2)), 0).reshape(-1) for frame in frames]
        states = np.array([lstm(*recurrent, features[: time + 1]) for time in range(len(features))])
        scores = np.exp(states @ dense + dense_bias)
        expected.append((scores / scores.sum(1, keepdims=True)).mean(0))
    model = converted(write(tmp_path / "model.keras", network))
    np.testing.assert_allclose(probabilities(model, network), expected, atol=1e-6)


def test_groups_named_after_the_layers_are_found_too(tmp_path):
    network = copy.deepcopy(GOLDENS[3]["lstm_same"])
    datasets = network["keras"]["datasets"]
    expected = np.array(network["output"])
    for entry, kind in zip(network["keras"]["config"]["config"]["layers"][-2:], ("lstm", "dense"), strict=True):
        entry["config"]["name"] = f"my_{kind}"
        for name in [name for name in datasets if name.startswith(f"layers/{kind}/")]:
            datasets[name.replace(f"/{kind}/", f"/my_{kind}/")] = datasets.pop(name)
    model = converted(write(tmp_path / "model.keras", network))
    np.testing.assert_allclose(probabilities(model, network), expected, atol=1e-6)


def test_labels_are_numbers_unless_they_are_given(tmp_path):
    weights = read_weights(write(tmp_path / "model.keras", GOLDENS[3]["lstm_same"]))
    assert weights.labels is None
    model = convert("keras/lrcn", weights.state_dict, fields=weights.fields, labels=["a", "b", "c"])
    assert model.config.id2label == {0: "a", 1: "b", 2: "c"}
    model = convert("keras/lrcn", weights.state_dict, fields=weights.fields)
    assert model.config.id2label[1] == "LABEL_1"


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_layers_that_lrcn_lacks_are_all_named_and_nothing_is_written(tmp_path, suffix):
    def change(layers):
        layers[-2]["class_name"] = "ConvLSTM2D"
        layers[-3]["config"]["layer"]["class_name"] = "Lambda"
        layers[-1]["config"]["activation"] = "sparsemax"

    network = changed(GOLDENS[3]["lstm_same"], change, file="keras" if suffix == ".keras" else "h5")
    path = write(tmp_path / f"model{suffix}", network)
    with pytest.raises(ConversionError, match=r"model.*: LRCN has no layers like Lambda flatten.*, ConvLSTM2D lstm.*, "
                       r"Dense dense.* \(activation sparsemax\)"):  # fmt: skip
        convert_file("keras/lrcn", path, tmp_path / "model-folder")
    assert not (tmp_path / "model-folder").exists()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("go_backwards", True, r"LSTM lstm \(go_backwards\)"),
        ("activation", "selu", r"LSTM lstm \(activation selu\)"),
        ("recurrent_activation", "hard_sigmoid", r"LSTM lstm \(recurrent_activation hard_sigmoid\)"),
    ],
)
def test_recurrent_layers_that_lrcn_lacks_are_named_with_the_reason(tmp_path, field, value, message):
    network = changed(GOLDENS[3]["lstm_same"], lambda layers: layers[-2]["config"].update({field: value}))
    with pytest.raises(ConversionError, match=message):
        read_weights(write(tmp_path / "model.keras", network))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layers: layers[-2]["config"].update(return_sequences=True), "something for every frame"),
        (lambda layers: layers.insert(-2, layers.pop()), "Dense dense|LSTM lstm"),
        (lambda layers: layers.pop(-3), "LSTM lstm cannot be converted where it stands: .*vector of each frame"),
        (lambda layers: layers[-1]["config"].update(activation="relu"), "does not end in a Dense layer"),
        (lambda layers: layers[0]["config"].update(batch_shape=[None, 3, 12, 14, 3]), "as high as wide"),
        (lambda layers: layers[0]["config"].update(batch_shape=[None, 3, 40]), r"input has shape \(3, 40\)"),
    ],
)
def test_networks_of_another_kind_are_refused(tmp_path, change, message):
    with pytest.raises(ConversionError, match=message):
        read_weights(write(tmp_path / "model.keras", changed(GOLDENS[3]["lstm_same"], change)))


def test_a_network_that_branches_is_refused(tmp_path):
    def change(layers):
        layers[3]["inbound_nodes"] = layers[2]["inbound_nodes"]

    with pytest.raises(ConversionError, match=r"Dropout dropout.* takes time_distributed.*; what converts is a chain"):
        read_weights(write(tmp_path / "model.keras", changed(GOLDENS[3]["nested"], change)))


@pytest.mark.parametrize(
    ("name", "index", "field", "value", "message"),
    [
        ("gru_valid", -2, "axis", 2, "BatchNormalization .*its axis is 2, and features stand on axis 1"),
        ("gru_valid", -1, "activation", {"class_name": "LeakyReLU", "config": {}}, "a layer as its activation"),
        ("average", -1, "keepdims", True, r"GlobalAveragePooling1D .*\(keepdims\)"),
        ("average", -1, "data_format", "channels_first", r"GlobalAveragePooling1D .*\(its channels come first\)"),
        ("lstm_same", 0, "batch_shape", [None, 10**9, 12, 12, 3], "larger than any clip"),
        ("lstm_same", -2, "units", None, "cannot be so"),
    ],
)
def test_options_that_would_change_the_outcome_are_refused(tmp_path, name, index, field, value, message):
    network = changed(GOLDENS[3][name], lambda layers: layers[index]["config"].update({field: value}))
    with pytest.raises(ConversionError, match=message):
        read_weights(write(tmp_path / "model.keras", network))


def test_the_two_directions_of_a_layer_are_alike(tmp_path):
    def change(layers):
        layer = next(layer for layer in layers if layer["class_name"] == "Bidirectional")
        layer["config"]["backward_layer"]["config"]["activation"] = "relu"

    with pytest.raises(ConversionError, match=r"Bidirectional .*\(a backward_layer of another activation\)"):
        read_weights(write(tmp_path / "model.keras", changed(GOLDENS[3]["bidirectional"], change)))


def test_a_network_whose_output_is_not_that_of_its_last_layer_is_refused(tmp_path):
    network = copy.deepcopy(GOLDENS[3]["nested"])
    network["keras"]["config"]["config"]["output_layers"] = ["dropout", 0, 0]
    with pytest.raises(ConversionError, match="its outputs are those of dropout"):
        read_weights(write(tmp_path / "model.keras", network))


@pytest.mark.parametrize(
    ("put", "message"),
    [
        (lambda group, name, _: group.create_dataset(name, (10**6, 10**6), "f4", chunks=(9, 9)), "fill the memory"),
        (lambda group, name, shape: group.create_dataset(name, shape, "i4"), "is of type int32"),
        (
            lambda group, name, shape: group.create_dataset(name, shape, "f4", external=[("secret", 0, 10**6)]),
            "lies in another file",
        ),
        (lambda group, name, _: group.__setitem__(name, h5py.ExternalLink("other.h5", "/array")), "in another file"),
    ],
)
def test_arrays_that_the_file_does_not_hold_are_not_read(tmp_path, monkeypatch, put, message):
    path = write(tmp_path / "model.h5", GOLDENS[3]["lstm_same"])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(bytes(10**6))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["array"] = np.zeros(3, np.float32)
    name, arrays_of_layer = GOLDENS[3]["lstm_same"]["h5"]["layers"][-1]
    array = arrays_of_layer[0][0]
    with h5py.File(path, "r+") as file:
        group = file["model_weights"][name]
        shape = group[array].shape
        del group[array]
        put(group, array, shape)
    with pytest.raises(ConversionError, match=message):
        read_weights(path)


def test_a_zip_that_unpacks_to_more_than_weights_do_is_refused(tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", bytes(2**25))
    with pytest.raises(ConversionError, match=r"model\.keras: config\.json is to have 33554432 bytes"):
        read_weights(path)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(
    "damage", [lambda content: content[: len(content) // 2], lambda _: b"", lambda _: b"not Keras"]
)
def test_a_damaged_file_is_named(tmp_path, suffix, damage):
    path = write(tmp_path / f"model{suffix}", GOLDENS[3]["lstm_same"])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ConversionError, match=rf"model\{suffix}: not a whole file of Keras"):
        read_weights(path)


def test_a_changed_byte_among_the_weights_is_noticed(tmp_path):
    path = write(tmp_path / "model.keras", GOLDENS[3]["lstm_same"])
    content = bytearray(path.read_bytes())
    place = content.find(arrays(GOLDENS[3]["lstm_same"])[0].tobytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(ConversionError, match=r"model\.keras: not a whole file of Keras .*CRC"):
        read_weights(path)


def test_missing_arrays_are_noticed(tmp_path):
    network = copy.deepcopy(GOLDENS[3]["lstm_same"])
    del network["keras"]["datasets"]["layers/lstm/cell/vars/2"]
    with pytest.raises(ConversionError, match="LSTM lstm has 2 arrays, not 3"):
        read_weights(write(tmp_path / "model.keras", network))
    network["h5"]["layers"][-2][1].pop()
    with pytest.raises(ConversionError, match="has 2 arrays, not 3"):
        read_weights(write(tmp_path / "model.h5", network))


def test_a_file_of_weights_alone_is_refused_with_what_to_save(tmp_path):
    with h5py.File(tmp_path / "model.weights.h5", "w") as file:
        file["layers/dense/vars/0"] = np.zeros((2, 2))
    with pytest.raises(ConversionError, match=r"holds weights alone.*model\.save"):
        read_weights(tmp_path / "model.weights.h5")


def test_a_source_of_another_network_is_refused(tmp_path):
    path = write(tmp_path / "model.keras", GOLDENS[3]["lstm_same"])
    with pytest.raises(
        ConversionError, match="describes another network than torchvision/r3d_18: it has backbone_config"
    ):
        convert_file("torchvision/r3d_18", path, tmp_path / "folder")


def test_every_ending_that_keras_has_used_is_read():
    assert {".keras", ".h5", ".hdf5"} <= set(READERS)


def test_without_h5py_the_reason_is_one_line(tmp_path, monkeypatch):
    path = write(tmp_path / "model.keras", GOLDENS[3]["lstm_same"])
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"^h5py is not installed: pip install 'muybridge\[convert\]'$"):
        read_weights(path)


@pytest.fixture(scope="module")
def trained(shared_data, tmp_path_factory):
    """A network that somebody trained, converted."""
    folder = tmp_path_factory.mktemp("trained") / "lrcn"
    weights = shared_data / "lrcn_ucf50" / "model_lrcn_v1.keras"
    return convert_file("keras/lrcn", weights, folder, labels=LABELS, verify=True)


def expected_label(path):
    return path.stem.split("_")[1]


def test_real_clips_are_labelled_by_the_pipelines_as_their_names_say(trained, shared_data):
    clips = sorted((shared_data / "lrcn_ucf50" / "clips").iterdir())
    theirs, ours = pipeline("video-classification", model=str(trained)), VideoClassificationPipeline(trained)
    for path in clips:
        for best in (theirs(str(path))[0], ours(path)[0]):
            assert best["label"] == expected_label(path)
            assert best["score"] > 0.9


def test_real_clips_are_labelled_on_the_command_line_as_their_names_say(trained, shared_data, capsys):
    assert main(["classify", str(shared_data / "lrcn_ucf50" / "clips"), "--model", str(trained), "--json"]) == 0
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(results) == 6
    for result in results:
        best = max(result["labels"], key=lambda label: label["score"])
        assert best["label"] == expected_label(Path(result["video"]))
        assert best["score"] > 0.9


def test_a_real_clip_has_the_probabilities_that_keras_gives_the_frames_of_opencv(trained, shared_data):
    # Recorded with tf_keras 2.21 on frames that OpenCV 5.0 read and resized.
    recorded = {
        "v_Biking_g10_c02": [6.9382292e-04, 1.2533739e-02, 1.6337642e-02, 9.7043478e-01],
        "v_Skiing_g14_c03": [5.9125700e-04, 9.8006195e-01, 5.6278962e-03, 1.3718920e-02],
    }
    classify = VideoClassificationPipeline(trained, top_k=4)
    for name, expected in recorded.items():
        given = {
            each["label"]: each["score"] for each in classify(shared_data / "lrcn_ucf50" / "clips" / f"{name}.avi")
        }
        np.testing.assert_allclose([given[label] for label in LABELS], expected, atol=1e-3)
