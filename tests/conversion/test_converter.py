import pytest
import torch
from torch.testing import assert_close

from golden import Golden
from muybridge.conversion import SOURCES, ConversionError, convert

# Networks of a hundred million parameters, whose layout alone is compared; the goldens of two like them are here.
ALIKE = [f"torchvision/vgg{name}" for name in ("11", "13", "13_bn", "16_bn", "19", "19_bn")]
# Every source that a golden was recorded for; the file of the last one has no shortcuts with parameters. Those whose
# original runs on TensorFlow or Caffe have other tests (test_tensorflow.py, test_keras.py, test_caffe.py).
GOLDENS = {
    **{
        source.replace("/", "_"): source
        for source in SOURCES
        if not source.startswith(("caffe/", "deepmind/", "keras/")) and source not in ALIKE
    },
    "kenshohara_r3d_18_padding": "kenshohara/r3d_18",
}


@pytest.fixture(scope="module")
def r3d_18() -> dict[str, torch.Tensor]:
    return Golden.load("torchvision_r3d_18").state_dict()


@pytest.mark.parametrize("name", GOLDENS)
def test_a_converted_network_gives_the_logits_of_the_original(name):
    golden = Golden.load(name)
    model = convert(GOLDENS[name], golden.state_dict())
    with torch.inference_mode():
        logits = model(**{model.main_input_name: golden.clip()}).logits.double().flatten()
    if name == "davidea_c3d":  # its original ends in a softmax
        logits = logits.softmax(0)
    assert len(logits) == golden.num_logits
    assert torch.dist(logits[:64], golden.logits) < 1e-5 * golden.logits.norm()
    assert logits.norm().item() == pytest.approx(golden.norm, rel=1e-5)


@pytest.mark.parametrize("name", ALIKE)
def test_a_vgg_takes_the_tensors_of_the_original_in_their_places(name):
    depth, has_norm = name.removeprefix("torchvision/vgg").removesuffix("_bn"), name.endswith("_bn")
    per_stage = {"11": (1, 1, 2, 2, 2), "13": (2, 2, 2, 2, 2), "16": (2, 2, 3, 3, 3), "19": (2, 2, 4, 4, 4)}[depth]
    shapes, place, before = {}, 0, 3
    for width, convolutions in zip((64, 128, 256, 512, 512), per_stage, strict=True):
        for _ in range(convolutions):
            shapes[f"features.{place}.weight"] = (width, before, 3, 3)
            if has_norm:
                shapes[f"features.{place + 1}.running_mean"] = (width,)
            place, before = place + 2 + has_norm, width
        place += 1  # the pooling
    shapes |= {"classifier.0.weight": (4096, 25088), "classifier.3.weight": (4096, 4096)}
    source = SOURCES[name]
    with torch.device("meta"):
        tensors = source.architecture.task_model(source.config({}, num_labels=1000)).state_dict()
    taken = {source.original_name(ours): tuple(tensor.shape) for ours, tensor in tensors.items()}
    assert shapes.items() <= taken.items()
    kinds = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert len(taken) == 6 + sum(len(kinds) + 2 if has_norm else 2 for _ in range(sum(per_stage)))


@pytest.fixture(scope="module")
def googlenet() -> dict[str, torch.Tensor]:
    return Golden.load("torchvision_googlenet").state_dict()


def test_a_googlenet_converts_with_its_helpers_and_without(googlenet):
    trained = {name: tensor for name, tensor in googlenet.items() if not name.startswith("aux")}
    with_helpers, without = convert("torchvision/googlenet", googlenet), convert("torchvision/googlenet", trained)
    assert torch.equal(with_helpers.head.helpers["inception4d"].classifier.weight, googlenet["aux2.fc2.weight"])
    assert without.config.head == {"name": "linear", "dropout": 0.2}
    image = Golden.load("torchvision_googlenet").clip()[..., :64, :64]
    with torch.inference_mode():
        assert torch.equal(with_helpers(image).logits, without(image).logits)


def test_the_weights_of_another_image_network_are_recognised(googlenet):
    with pytest.raises(ConversionError, match="They fit torchvision/googlenet: use that source"):
        convert("torchvision/alexnet", googlenet)


def test_names_with_the_prefix_of_data_parallel_convert_alike(r3d_18):
    plain = convert("torchvision/r3d_18", r3d_18).state_dict()
    wrapped = convert("torchvision/r3d_18", {f"module.{name}": tensor for name, tensor in r3d_18.items()}).state_dict()
    assert all(torch.equal(plain[name], wrapped[name]) for name in plain)


def test_a_converted_network_shares_no_memory_with_the_tensors_it_came_from(r3d_18):
    model = convert("torchvision/r3d_18", r3d_18)
    before = model.state_dict()["head.classifier.bias"].clone()
    r3d_18["fc.bias"].add_(1)
    after = model.state_dict()["head.classifier.bias"]
    r3d_18["fc.bias"].sub_(1)
    assert torch.equal(before, after)


def test_a_converted_network_is_in_evaluation_mode_and_can_be_trained(r3d_18):
    model = convert("torchvision/r3d_18", r3d_18)
    assert not model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_weights_of_half_precision_become_float32(r3d_18):
    model = convert("torchvision/r3d_18", {name: tensor.half() for name, tensor in r3d_18.items()})
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (torch.Tensor.int, r"torch\.int32"),
        (lambda tensor: tensor.to(torch.complex64), r"torch\.complex64"),
        (torch.Tensor.to_sparse, r"torch\.float32 in torch\.sparse_coo"),
    ],
)
def test_tensors_that_are_no_plain_floats_are_named(r3d_18, change, kind):
    with pytest.raises(ConversionError, match=rf"no plain numbers: fc\.bias is {kind}; save it as torch\.float32"):
        convert("torchvision/r3d_18", {**r3d_18, "fc.bias": change(r3d_18["fc.bias"])})


def test_the_labels_of_kinetics_come_with_the_weights_that_were_trained_on_them(r3d_18):
    config = convert("torchvision/r3d_18", r3d_18).config
    assert config.id2label[0] == "abseiling"
    assert config.label2id["zumba"] == 399


def test_labels_given_by_the_user_win(r3d_18):
    names = [f"class {index}" for index in range(400)]
    assert convert("torchvision/r3d_18", r3d_18, labels=names).config.id2label[7] == "class 7"


def test_a_list_of_labels_of_the_wrong_length_is_refused(r3d_18):
    with pytest.raises(ConversionError, match="3 labels for a classifier of 400"):
        convert("torchvision/r3d_18", r3d_18, labels=["a", "b", "c"])


def test_the_number_of_classes_is_that_of_the_file(r3d_18):
    fine_tuned = {**r3d_18, "fc.weight": torch.zeros(7, 512), "fc.bias": torch.zeros(7)}
    assert convert("torchvision/r3d_18", fine_tuned).config.num_labels == 7


def test_an_unknown_source_lists_the_known_ones(r3d_18):
    with pytest.raises(ConversionError, match=r"'torchvision/r3d_19' is not known.*torchvision/r3d_18.*davidea/c3d"):
        convert("torchvision/r3d_19", r3d_18)


def test_a_missing_tensor_is_named(r3d_18):
    incomplete = {name: tensor for name, tensor in r3d_18.items() if name != "layer3.0.conv2.0.weight"}
    with pytest.raises(ConversionError, match=r"missing: layer3\.0\.conv2\.0\.weight \(256, 256, 3, 3, 3\)"):
        convert("torchvision/r3d_18", incomplete)


def test_an_extra_tensor_is_named(r3d_18):
    with pytest.raises(ConversionError, match=r"not expected: head\.bias \(3,\)"):
        convert("torchvision/r3d_18", {**r3d_18, "head.bias": torch.zeros(3)})


def test_a_misshapen_tensor_is_named_with_both_shapes(r3d_18):
    with pytest.raises(ConversionError, match=r"misshapen: stem\.1\.bias is \(63,\), not \(64,\)"):
        convert("torchvision/r3d_18", {**r3d_18, "stem.1.bias": torch.zeros(63)})


def test_the_weights_of_another_source_are_recognised():
    with pytest.raises(ConversionError, match="They fit torchvision/mc3_18: use that source"):
        convert("torchvision/r3d_18", Golden.load("torchvision_mc3_18").state_dict())


def test_weights_older_than_the_counter_of_batches_convert(r3d_18):
    old = {name: tensor for name, tensor in r3d_18.items() if not name.endswith("num_batches_tracked")}
    model, reference = convert("torchvision/r3d_18", old), convert("torchvision/r3d_18", r3d_18)
    clip = torch.rand(1, 4, 3, 32, 32)
    assert_close(model(clip).logits, reference(clip).logits, rtol=0, atol=0)


def test_what_is_not_a_tensor_is_named(r3d_18):
    with pytest.raises(ConversionError, match="other things than tensors: epoch"):
        convert("torchvision/r3d_18", {**r3d_18, "epoch": 3})


def test_weights_with_other_labels_claim_nothing_of_the_published_ones(r3d_18):
    assert convert("torchvision/r3d_18", r3d_18).config.protocol == {"num_clips": 5}
    fine_tuned = {**r3d_18, "fc.weight": torch.zeros(7, 512), "fc.bias": torch.zeros(7)}
    assert convert("torchvision/r3d_18", fine_tuned).config.protocol is None
