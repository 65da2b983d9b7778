"""Files of Caffe, written here byte by byte, and its networks, compared with OpenCV's importer and with torch alone."""

import math
import struct

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close

from golden import Golden, pattern
from muybridge.conversion import SOURCES, ConversionError, convert, read_weights
from muybridge.conversion.caffemodel import read_caffemodel

# The goldens' pixels: as those of pictures less their mean, so that the norms have something to do.
SCALE = 60


def varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def data(field: int, content: bytes | str) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(content)) + content


def floats(values: Tensor, code: str = "f") -> bytes:
    return struct.pack(f"<{values.numel()}{code}", *values.flatten().tolist())


def blob(values: Tensor) -> bytes:
    shape = b"".join(varint(size) for size in values.shape)
    return data(5, floats(values)) + data(7, data(1, shape))


def blob_of_2014(values: Tensor) -> bytes:
    """Four lengths, whatever the tensor."""
    shape = (1,) * (4 - values.ndim) + tuple(values.shape)
    lengths = b"".join(number(field, size) for field, size in enumerate(shape, start=1))
    return lengths + data(5, floats(values))


def layer(name: str, kind: str, *blobs: bytes) -> bytes:
    return data(100, data(1, name) + data(2, kind) + b"".join(data(7, content) for content in blobs))


def layer_of_2014(name: str, kind: int, *blobs: bytes) -> bytes:
    return data(2, data(2, "bottom") + data(4, name) + number(5, kind) + b"".join(data(6, one) for one in blobs))


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {"conv1/7x7": (4, 3, 5, 5), "fc8": (6, 7)}
    return {
        f"{name}.{role}": torch.randn(shape if role == "weight" else shape[:1], generator=generator)
        for name, shape in shapes.items()
        for role in ("weight", "bias")
    }


def file_of_today(tensors: dict[str, Tensor]) -> bytes:
    parts = {name: [blob(tensors[f"{name}.{role}"]) for role in ("weight", "bias")] for name in ("conv1/7x7", "fc8")}
    return (
        data(1, "a net")
        + layer("conv1/7x7", "Convolution", *parts["conv1/7x7"])
        + layer("relu1", "ReLU")
        + layer("fc8", "InnerProduct", *parts["fc8"])
    )


def file_of_2014(tensors: dict[str, Tensor]) -> bytes:
    parts = {
        name: [blob_of_2014(tensors[f"{name}.{role}"]) for role in ("weight", "bias")] for name in ("conv1/7x7", "fc8")
    }
    return (
        data(1, "a net")
        + layer_of_2014("conv1/7x7", 4, *parts["conv1/7x7"])
        + layer_of_2014("relu1", 18)
        + layer_of_2014("fc8", 14, *parts["fc8"])
    )


def written(tmp_path, content: bytes):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("content", [file_of_today, file_of_2014])
def test_both_layouts_give_the_tensors_by_their_layers_names(content, tensors, tmp_path):
    read = read_weights(written(tmp_path, content(tensors)))
    assert list(read.state_dict) == list(tensors)
    for name, tensor in read.state_dict.items():
        assert torch.equal(tensor, tensors[name])
    assert read.labels is None


def test_numbers_of_eight_bytes_are_read(tmp_path):
    values = torch.tensor([[math.pi, -1.0]], dtype=torch.float64)
    content = data(8, floats(values, "d")) + data(7, data(1, bytes([1, 2])))
    read = read_caffemodel(written(tmp_path, layer("fc", "InnerProduct", content)))
    assert torch.equal(read["fc.weight"], values)


def test_a_layer_without_bias_has_a_weight_alone(tmp_path):
    content = layer("conv", "Convolution", blob(torch.ones(2, 3, 1, 1)))
    assert list(read_caffemodel(written(tmp_path, content))) == ["conv.weight"]


def test_a_shape_whose_lengths_stand_one_by_one_is_read(tmp_path):
    content = data(5, floats(torch.ones(6))) + data(7, number(1, 2) + number(1, 3))
    assert read_caffemodel(written(tmp_path, layer("fc", "InnerProduct", content)))["fc.weight"].shape == (2, 3)


@pytest.mark.parametrize("content", [file_of_today, file_of_2014])
@pytest.mark.parametrize("missing", [1, 10, 200])
def test_a_file_that_ends_too_soon_is_refused(content, missing, tensors, tmp_path):
    path = written(tmp_path, content(tensors)[:-missing])
    with pytest.raises(ConversionError, match=r"net\.caffemodel: not a whole caffemodel .*download or copy it again"):
        read_weights(path)


def test_a_number_where_a_layer_is_due_is_refused(tmp_path):
    with pytest.raises(ConversionError, match="field 100 holds a number where bytes are due"):
        read_caffemodel(written(tmp_path, number(100, 7)))


def test_a_wire_type_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ConversionError, match="field 100 has the wire type 7"):
        read_caffemodel(written(tmp_path, varint(100 << 3 | 7)))


def test_weights_of_a_layer_that_is_not_known_are_refused_by_its_name(tmp_path):
    content = layer("bn1", "BatchNorm", *[blob(torch.ones(3))] * 3)
    with pytest.raises(ConversionError, match="layer 'bn1' is a BatchNorm with 3 blobs of weights"):
        read_caffemodel(written(tmp_path, content))
    content = layer_of_2014("up1", 39, blob_of_2014(torch.ones(2, 2, 2, 2)))
    with pytest.raises(ConversionError, match="layer 'up1' is a layer of type 39 with 1 blobs"):
        read_caffemodel(written(tmp_path, content))


def test_a_shape_that_does_not_fit_the_numbers_is_refused_by_the_layers_name(tmp_path):
    content = data(5, floats(torch.ones(5))) + data(7, data(1, bytes([2, 3])))
    with pytest.raises(ConversionError, match=r"the weight of layer 'fc' has 5 values for the shape \(2, 3\)"):
        read_caffemodel(written(tmp_path, layer("fc", "InnerProduct", content)))


def test_a_shape_of_other_axes_is_refused_by_the_layers_name(tmp_path):
    content = layer("conv", "Convolution", blob(torch.ones(2, 3)))
    with pytest.raises(ConversionError, match=r"the weight of layer 'conv' has the shape \(2, 3\), .* 4 axes"):
        read_caffemodel(written(tmp_path, content))


def test_two_layers_of_one_name_are_refused(tmp_path):
    content = layer("fc", "InnerProduct", blob(torch.ones(2, 3)))
    with pytest.raises(ConversionError, match="two layers are called 'fc'"):
        read_caffemodel(written(tmp_path, content + content))


def test_a_file_of_2013_is_refused_with_what_rewrites_it(tmp_path):
    content = data(2, data(1, data(1, "conv1") + data(50, blob_of_2014(torch.ones(2, 3, 1, 1)))))
    with pytest.raises(ConversionError, match="a Caffe of 2013; rewrite it with Caffe's upgrade_net_proto_binary"):
        read_caffemodel(written(tmp_path, content))


def test_a_file_without_weights_is_refused(tmp_path):
    with pytest.raises(ConversionError, match="holds no tensors"):
        read_weights(written(tmp_path, layer("relu1", "ReLU")))


def image(golden: Golden) -> Tensor:
    return SCALE * pattern(golden.input_shape, seed=0)


@pytest.mark.parametrize("name", ["alexnet", "cnn_m_2048", "googlenet"])
def test_a_converted_network_gives_the_logits_of_its_prototxt(name):
    golden = Golden.load(f"caffe_{name}")
    model = convert(f"caffe/{name}", golden.state_dict())
    with torch.inference_mode():
        logits = model(image(golden)).logits.double().flatten()
    assert len(logits) == golden.num_logits
    assert torch.dist(logits[:64], golden.logits) < 1e-5 * golden.logits.norm()
    assert logits.norm().item() == pytest.approx(golden.norm, rel=1e-5)


def caffe_norm(hidden: Tensor) -> Tensor:
    return F.local_response_norm(hidden, size=5, alpha=1e-4, beta=0.75, k=1.0)


def caffe_pooling(hidden: Tensor) -> Tensor:
    return F.max_pool2d(hidden, 3, 2, ceil_mode=True)


def caffenet(weights: dict[str, Tensor], hidden: Tensor) -> Tensor:
    """The logits, as the prototxt of CaffeNet has them."""

    def convolve(name: str, **geometry: int) -> Tensor:
        return F.conv2d(hidden, weights[f"{name}.weight"], weights[f"{name}.bias"], **geometry).relu()

    hidden = caffe_norm(caffe_pooling(convolve("conv1", stride=4)))
    hidden = caffe_norm(caffe_pooling(convolve("conv2", padding=2, groups=2)))
    hidden = convolve("conv3", padding=1)
    hidden = convolve("conv4", padding=1, groups=2)
    hidden = caffe_pooling(convolve("conv5", padding=1, groups=2)).flatten(1)
    for name in ("fc6", "fc7"):
        hidden = F.linear(hidden, weights[f"{name}.weight"], weights[f"{name}.bias"]).relu()
    return F.linear(hidden, weights["fc8.weight"], weights["fc8.bias"])


def test_caffenet_gives_the_logits_of_its_prototxt_written_in_torch():
    golden = Golden.load("caffe_caffenet")
    weights = golden.state_dict()
    with torch.inference_mode():
        expected = caffenet(weights, image(golden))
        assert torch.dist(expected.flatten()[:64].double(), golden.logits) < 1e-5 * golden.logits.norm()
        logits = convert("caffe/caffenet", weights)(image(golden)).logits
    assert torch.dist(logits, expected) < 1e-6 * expected.norm()


def test_the_helpers_of_googlenet_are_kept_where_the_file_has_them():
    weights = Golden.load("caffe_googlenet").state_dict()
    assert convert("caffe/googlenet", weights).config.head == {"name": "linear", "dropout": 0.4}
    helpers = {"conv": [(128, 512, 1, 1), (128, 528, 1, 1)], "fc": [(1024, 2048)] * 2, "classifier": [(1000, 1024)] * 2}
    for name, shapes in helpers.items():
        for index, shape in enumerate(shapes, start=1):
            weights[f"loss{index}/{name}.weight"] = torch.full(shape, float(index))
            weights[f"loss{index}/{name}.bias"] = torch.zeros(shape[0])
    converted = convert("caffe/googlenet", weights).head.helpers
    assert list(converted) == ["inception4a", "inception4d"]
    for index, helper in enumerate(converted.values(), start=1):
        assert all(float(parameter.detach().mean()) == index for parameter in helper.parameters() if parameter.ndim > 1)


@pytest.mark.parametrize(("name", "depths"), [("vgg16", (2, 2, 3, 3, 3)), ("vgg19", (2, 2, 4, 4, 4))])
def test_vgg_has_the_layers_of_its_prototxt(name, depths):
    layers = [f"conv{stage}_{place + 1}" for stage, depth in enumerate(depths, start=1) for place in range(depth)]
    source = SOURCES[f"caffe/{name}"]
    with torch.device("meta"):
        model = source.architecture.task_model(source.config({}, 1000))
    names = [source.original_name(ours) for ours in model.state_dict()]
    assert names == [f"{layer}.{role}" for layer in [*layers, "fc6", "fc7", "fc8"] for role in ("weight", "bias")]


@pytest.mark.parametrize("name", ["alexnet", "caffenet", "cnn_m_2048", "vgg16", "vgg19", "googlenet"])
def test_pictures_become_blue_green_red_bytes_less_their_mean(name):
    source = SOURCES[f"caffe/{name}"]
    processor = source.architecture.processor(**source.processor)
    side = source.config({}, 1000).image_size
    colours = torch.tensor([10, 20, 30], dtype=torch.uint8)  # red, green, blue
    pixels = processor(colours.view(3, 1, 1).expand(3, 300, 400), return_tensors="pt").pixel_values
    assert pixels.shape == (1, 3, side, side)
    mean = torch.tensor(source.processor["image_mean"])
    assert mean[0] < mean[1] < mean[2]  # ImageNet's blue, green, red
    assert_close(pixels[0, :, 0, 0], torch.tensor([30.0, 20.0, 10.0]) - mean)
