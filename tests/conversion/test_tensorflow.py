"""Checkpoints of TensorFlow are read right or not at all, and those of I3D's authors become our I3D."""

import json
import random
import sys

import pytest
import torch

import tensorflow_checkpoint as writer
from golden import Golden
from muybridge.conversion import SOURCES, ConversionError, convert, read_weights
from muybridge.conversion.converter import fit
from muybridge.conversion.file_conversion import convert_file
from muybridge.extras import MissingExtraError
from tensorflow_checkpoint import write_checkpoint

TENSORS = {
    "net/Conv_1/w": torch.randn(2, 3, 1, 2, 5),
    "net/Conv_1/b": torch.randn(5),
    "net/Conv_10/w": torch.randn(3, 4).double(),
    "net/Conv_10/b": torch.randn(4).half(),
    "net/Dense/w": torch.randn(4, 2).bfloat16(),
    "net/Dense/steps": torch.tensor([2**40, -1]),
    "net/Dense/codes": torch.tensor([[-128, 127]], dtype=torch.int8),
    "net/Dense/short": torch.tensor([-300, 300], dtype=torch.int16),
    "net/Dense/levels": torch.tensor([0, 255], dtype=torch.uint8),
    "net/Dense/mask": torch.tensor([True, False]),
    "global_step": torch.tensor(70000, dtype=torch.int32),
    "nothing": torch.zeros(0, 3),
}


def test_the_writer_has_the_checksum_that_is_published():
    assert writer.crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize("num_shards", [1, 3])
@pytest.mark.parametrize("layout", [{}, {"restart_interval": 1}, {"entries_a_block": 2, "restart_interval": 3}])
def test_every_tensor_is_read_with_its_type_whatever_the_layout(tmp_path, num_shards, layout):
    index = write_checkpoint(tmp_path / "model.ckpt", TENSORS, num_shards, **layout)
    tensors = read_weights(index).state_dict
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


@pytest.mark.parametrize("name", [name for name, tensor in TENSORS.items() if tensor.numel()])
def test_a_damaged_byte_is_told_by_the_name_of_its_tensor(tmp_path, name):
    index = write_checkpoint(tmp_path / "model.ckpt", {name: TENSORS[name], "other": torch.ones(3)})
    data = index.with_suffix(".data-00000-of-00001")
    content = bytearray(data.read_bytes())
    content[content.index(writer.as_bytes(TENSORS[name])) + TENSORS[name].element_size() - 1] ^= 1
    data.write_bytes(content)
    with pytest.raises(ConversionError, match=rf"model\.ckpt\.index: the checksum of {name} is wrong"):
        read_weights(index)


def test_of_a_damaged_checkpoint_nothing_is_written(tmp_path):
    index = write_checkpoint(tmp_path / "model.ckpt", {"RGB/w": torch.ones(3)}, checksums={"RGB/w": 7})
    with pytest.raises(ConversionError, match="the checksum of RGB/w is wrong"):
        convert_file("deepmind/i3d_rgb", index, tmp_path / "converted")
    assert not (tmp_path / "converted").exists()


def test_no_damaged_byte_of_the_index_changes_a_tensor(tmp_path):
    tensors = {name: TENSORS[name] for name in ("net/Conv_1/b", "net/Dense/mask", "global_step")}
    index = write_checkpoint(tmp_path / "model.ckpt", tensors, entries_a_block=2)
    whole, num_refused, bits = index.read_bytes(), 0, random.Random(0)
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << bits.randrange(8)
        index.write_bytes(damaged)
        try:
            read = read_weights(index).state_dict
        except ConversionError:
            num_refused += 1
        else:
            assert all(torch.equal(read[name], tensors[name]) for name in tensors)
    assert num_refused > 0.7 * len(whole)  # the rest is padding, and a block that nobody reads


def test_an_index_cut_anywhere_is_refused(tmp_path):
    index = write_checkpoint(tmp_path / "model.ckpt", {"w": torch.ones(3)})
    whole = index.read_bytes()
    for length in range(len(whole)):
        index.write_bytes(whole[:length])
        with pytest.raises(ConversionError, match=r"model\.ckpt\.index: "):
            read_weights(index)


def test_a_missing_data_file_is_named(tmp_path):
    index = write_checkpoint(tmp_path / "model.ckpt", TENSORS, num_shards=2)
    (tmp_path / "model.ckpt.data-00001-of-00002").unlink()
    with pytest.raises(ConversionError, match=r"model\.ckpt\.data-00001-of-00002 is missing .* holds net/Conv_1"):
        read_weights(index)


@pytest.mark.parametrize("name", ["model.ckpt", "model.ckpt.data-00000-of-00001"])
def test_whoever_names_another_part_of_a_checkpoint_is_told_of_the_index(tmp_path, name):
    write_checkpoint(tmp_path / "model.ckpt", {"a": torch.ones(3)})
    with pytest.raises(ConversionError, match=r"model\.ckpt.*: .* model\.ckpt\.index"):
        read_weights(tmp_path / name)


def test_a_data_file_cut_short_is_named_with_the_tensor(tmp_path):
    index = write_checkpoint(tmp_path / "model.ckpt", {"a": torch.ones(3), "b": torch.ones(3)})
    data = tmp_path / "model.ckpt.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(ConversionError, match="data-00000-of-00001: ends before the end of b"):
        read_weights(index)


def write_index(path, entries, **layout):
    header = layout.pop("header", writer.header(1))
    path.write_bytes(writer.table({b"": header, **entries}, **layout))
    (path.parent / f"{path.stem}.data-00000-of-00001").write_bytes(bytes(100))
    return path


def test_compressed_blocks_are_refused_by_the_name_of_the_compression(tmp_path):
    index = write_index(tmp_path / "model.index", {}, compression=1)
    with pytest.raises(ConversionError, match=r"compressed \(snappy\)"):
        read_weights(index)


def test_big_endian_numbers_are_refused(tmp_path):
    index = write_index(tmp_path / "model.index", {}, header=writer.header(1, endianness=1))
    with pytest.raises(ConversionError, match="big-endian"):
        read_weights(index)


def test_a_tensor_in_slices_is_refused_by_its_name(tmp_path):
    whole = writer.entry(1, [3], 0, 0, bytes(12))
    index = write_index(tmp_path / "model.index", {b"embedding": whole + writer.field(7, b"\x0a\x00")})
    with pytest.raises(ConversionError, match="embedding is stored in slices"):
        read_weights(index)


def test_a_type_that_torch_has_not_is_refused_with_the_name_of_the_tensor(tmp_path):
    index = write_index(tmp_path / "model.index", {b"spectrum": writer.entry(18, [1], 0, 0, bytes(16))})
    with pytest.raises(ConversionError, match="spectrum is of TensorFlow's type 18"):
        read_weights(index)


def test_a_tensor_whose_bytes_do_not_fit_its_shape_is_refused(tmp_path):
    index = write_index(tmp_path / "model.index", {b"w": writer.entry(1, [4], 0, 0, bytes(12))})
    with pytest.raises(ConversionError, match=r"w \(4,\) of torch.float32 cannot have 12 bytes"):
        read_weights(index)


def test_texts_are_left_out(tmp_path):
    entries = {
        b"_CHECKPOINTABLE_OBJECT_GRAPH": writer.entry(7, [], 0, 0, b"text"),
        b"w": writer.entry(1, [], 0, 0, bytes(4)),
    }
    assert list(read_weights(write_index(tmp_path / "model.index", entries)).state_dict) == ["w"]


def test_without_the_library_of_checksums_it_says_what_to_install(tmp_path, monkeypatch):
    index = write_checkpoint(tmp_path / "model.ckpt", {"w": torch.ones(3)})
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    with pytest.raises(
        MissingExtraError, match=r"^google-crc32c is not installed: pip install 'muybridge\[convert\]'$"
    ):
        read_weights(index)


# I3D's authors'


def as_published(golden, scope):
    """The tensors of a golden of hassony2's port as the authors' checkpoint has them.

    Their norms have no scale; so that of the port is taken into the kernel before it, and into the mean.
    """
    state, tensors = golden.state_dict(), {}
    for name, tensor in state.items():
        unit, _, kind = name.rpartition(".")
        path = f"{scope}/inception_i3d/" + authors_path(unit.rpartition(".")[0])
        scale = state.get(unit.rpartition(".")[0] + ".batch3d.weight", torch.ones(1))
        if kind == "weight" and tensor.ndim == 5:
            tensors[f"{path}/conv_3d/w"] = (tensor * scale.view(-1, 1, 1, 1, 1)).permute(2, 3, 4, 1, 0)
        elif unit.endswith("conv3d"):
            tensors[f"{path}/conv_3d/b"] = tensor
        elif kind == "bias":
            tensors[f"{path}/batch_norm/beta"] = tensor
        elif kind == "running_mean":
            tensors[f"{path}/batch_norm/moving_mean"] = tensor * scale
        elif kind == "running_var":
            tensors[f"{path}/batch_norm/moving_variance"] = tensor
    return tensors


def authors_path(unit):
    if unit == "conv3d_0c_1x1":
        return "Logits/Conv3d_0c_1x1"
    if unit.startswith("conv3d"):
        return unit.capitalize()
    block, *branch = unit.split(".")
    place = branch[-1] if len(branch) == 2 else "0"
    leaf = "Conv3d_0a_1x1" if place == "0" else "Conv3d_0b_1x1" if branch[0] == "branch_3" else "Conv3d_0b_3x3"
    if (block, branch) == ("mixed_5b", ["branch_2", "1"]):
        leaf = "Conv3d_0a_3x3"
    return f"{block.capitalize()}/{branch[0].capitalize()}/{leaf}"


@pytest.mark.parametrize(("modality", "scope"), [("rgb", "RGB"), ("flow", "Flow")])
def test_the_authors_tensors_give_the_logits_of_their_port(modality, scope):
    golden = Golden.load(f"hassony2_i3d_{modality}")
    model = convert(f"deepmind/i3d_{modality}", as_published(golden, scope))
    with torch.inference_mode():
        logits = model(**{model.main_input_name: golden.clip()}).logits.double().flatten()
    assert torch.dist(logits[:64], golden.logits) < 1e-5 * golden.logits.norm()
    assert logits.norm().item() == pytest.approx(golden.norm, rel=1e-5)


@pytest.mark.parametrize("modality", ["rgb", "flow"])
def test_the_tensors_that_are_expected_are_those_that_the_authors_published(shared_data, modality):
    published = json.loads((shared_data / "i3d" / f"{modality}_imagenet.json").read_text())
    state_dict = {name: torch.empty(facts["shape"], device="meta") for name, facts in published.items()}
    _, tensors, problems = fit(SOURCES[f"deepmind/i3d_{modality}"], state_dict)
    assert not problems
    assert sum(not name.endswith(("norm.weight", "num_batches_tracked")) for name in tensors) == len(published)


def test_a_checkpoint_of_the_published_names_is_read_whole(tmp_path, shared_data):
    published = json.loads((shared_data / "i3d" / "rgb_imagenet.json").read_text())
    # Full size where that is a few thousand numbers; of the rest the first of each axis but the last.
    shapes = {name: facts["shape"] for name, facts in published.items()}
    tensors = {
        name: torch.randn(shape if len(shape) == 1 else [1] * (len(shape) - 1) + shape[-1:])
        for name, shape in shapes.items()
    }
    index = write_checkpoint(tmp_path / "model.ckpt", tensors, entries_a_block=50)
    read = read_weights(index).state_dict
    assert read.keys() == published.keys()
    assert all(torch.equal(read[name], tensors[name]) for name in tensors)


def test_the_labels_are_in_the_order_of_the_authors(shared_data):
    labels = (shared_data / "i3d" / "kinetics400_labels.txt").read_text().split("\n")
    model = convert("deepmind/i3d_rgb", as_published(Golden.load("hassony2_i3d_rgb"), "RGB"))
    assert [model.config.id2label[index] for index in range(400)] == [label for label in labels if label]


def test_the_protocol_and_the_bound_of_the_flow_travel_along():
    tensors = as_published(Golden.load("hassony2_i3d_flow"), "Flow")
    protocol = convert("deepmind/i3d_flow", tensors).config.get_protocol()
    assert (protocol.num_frames, protocol.fps, protocol.short_side, protocol.crop_size) == (64, 25, 256, 224)
    assert protocol.aggregation == "logits"
    processor = SOURCES["deepmind/i3d_flow"].make_processor(convert("deepmind/i3d_flow", tensors).config)
    assert (processor.flow_bound, processor.flow_scale) == (20.0, 1 / 20)
