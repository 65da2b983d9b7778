"""The classic networks on images are those of their papers, and can be used as one uses such networks."""

import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.testing import assert_close
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    ResNetForImageClassification,
    pipeline,
)

import muybridge
from golden import Golden
from muybridge.cards import CardFacts, parse_card, write_card
from muybridge.checkpoints import save_checkpoint
from muybridge.cli import main
from muybridge.conversion import SOURCES
from muybridge.models import ARCHITECTURES, alexnet, cnn_m, googlenet, vgg, zfnet
from muybridge.models.inspection import count_gmacs, count_parameters, make_random_inputs
from muybridge.models.layers import LocalResponseNorm, MaxPooling2d
from muybridge.models.registry import list_architectures
from muybridge.publishing import PublishingError, check_folder

PLAIN = {name: ARCHITECTURES[name] for name in ("alexnet", "zfnet", "cnn_m", "vgg")}
CLASSIC = {**PLAIN, "googlenet": ARCHITECTURES["googlenet"]}

each_classic = pytest.mark.parametrize("architecture", CLASSIC.values(), ids=CLASSIC)
each_plain = pytest.mark.parametrize("architecture", PLAIN.values(), ids=PLAIN)


def make(architecture, **fields):
    torch.manual_seed(0)
    return architecture.task_model(architecture.tiny_config(**fields)).eval()


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def on_paper(config):
    """The trunk of a config, without memory, and the sizes of what its stages give."""
    architecture = ARCHITECTURES[config.model_type]
    with torch.device("meta"):
        model = architecture.task_model(config).eval()
        states = model(**make_random_inputs(model), output_hidden_states=True).hidden_states
    return model, [tuple(state.shape[1:]) for state in states]


# What the papers say


def test_alexnet_of_2012_has_the_maps_and_the_parameters_of_the_paper():
    model, sizes = on_paper(alexnet.AlexNetConfig.from_preset("2012", num_labels=1000))
    assert sizes[:2] == [(96, 27, 27), (256, 13, 13)]
    assert sizes[2:] == [(384, 13, 13), (384, 13, 13), (256, 6, 6), (4096,), (4096,)]
    # 48 of the 96 maps reach each half of the second layer, and 192 of 384 each half of the fourth and fifth.
    kernels = [96 * 3 * 121, 256 * 48 * 25, 384 * 256 * 9, 384 * 192 * 9, 256 * 192 * 9]
    linear = [9216 * 4096, 4096 * 4096, 4096 * 1000]
    biases = 96 + 256 + 384 + 384 + 256 + 4096 + 4096 + 1000
    assert count_parameters(model) == sum(kernels) + sum(linear) + biases == 60_965_224


def test_zfnet_has_the_maps_of_the_papers_figure():
    model, sizes = on_paper(zfnet.ZFNetConfig(num_labels=1000))
    assert sizes == [(96, 55, 55), (256, 13, 13), (384, 13, 13), (384, 13, 13), (256, 6, 6), (4096,), (4096,)]
    trunk = model.base_model
    with torch.device("meta"):
        assert trunk.conv1.conv1(torch.empty(1, 3, 224, 224)).shape == (1, 96, 110, 110)
        assert trunk.conv2.conv2(torch.empty(1, 96, 55, 55)).shape == (1, 256, 26, 26)
    assert [type(layer) for layer in trunk.conv1][1:] == [MaxPooling2d, LocalResponseNorm]


def test_cnn_m_has_the_sizes_of_its_prototxt():
    model, sizes = on_paper(cnn_m.CNNMConfig(num_labels=1000))
    assert sizes == [(96, 54, 54), (256, 13, 13), (512, 13, 13), (512, 13, 13), (512, 6, 6), (4096,), (2048,)]
    assert [name for name, module in model.base_model.named_modules() if isinstance(module, LocalResponseNorm)] == [
        "conv1.norm1",
        "conv2.norm2",
    ]


def test_the_temporal_network_of_two_streams_leaves_out_the_second_norm():
    model, _ = on_paper(cnn_m.CNNMConfig.from_preset("2048_one_norm", num_channels=20))
    assert [module for module in model.modules() if isinstance(module, LocalResponseNorm)] == [
        model.base_model.conv1.norm1
    ]
    assert model.base_model.conv1.conv1.layers.convolution.in_channels == 20


@pytest.mark.parametrize(("depth", "millions"), [("11", 133), ("13", 133), ("16", 138), ("19", 144)])
def test_vgg_has_the_layers_and_the_parameters_of_the_papers_table(depth, millions):
    for name in (depth, f"{depth}_bn"):
        model, sizes = on_paper(vgg.VGGConfig.from_preset(name, num_labels=1000))
        linear = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        assert len(linear) == int(depth)
        assert len(norms) == (int(depth) - 3 if name.endswith("_bn") else 0)
        assert round(count_parameters(model) / 1e6) == millions
        assert sizes[4] == (512, 7, 7)


@pytest.mark.parametrize("preset", ["2014", "batch_norm"])
def test_googlenet_has_the_maps_of_the_papers_table(preset):
    model, sizes = on_paper(googlenet.GoogLeNetConfig.from_preset(preset, num_labels=1000))
    assert [size[1:] for size in sizes] == [(56, 56), (28, 28), *[(28, 28)] * 2, *[(14, 14)] * 5, *[(7, 7)] * 2]
    assert [size[0] for size in sizes] == [64, 192, 256, 480, 512, 512, 512, 528, 832, 832, 1024]
    assert count_gmacs(model) == pytest.approx(1.5, abs=0.1)  # "1.5 billion multiply-adds at inference time"


def test_googlenet_of_2014_has_5x5_branches_and_response_norms_where_the_other_has_batch_norms():
    model, _ = on_paper(googlenet.GoogLeNetConfig.from_preset("2014"))
    trunk = model.base_model
    assert trunk.inception3a.branch_5x5[1].convolution.kernel_size == (5, 5)
    assert not [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    norms = [name for name, module in trunk.named_modules() if isinstance(module, LocalResponseNorm)]
    assert norms == ["conv1.norm1", "conv2.norm2"]


def test_an_image_network_knows_its_published_forms_by_name():
    with pytest.raises(ValueError, match=r"VGGConfig has no preset '16bn'; did you mean '16_bn'\?"):
        vgg.VGGConfig.from_preset("16bn")
    assert vgg.VGGConfig.from_preset("19", image_size=64).image_size == 64


# Training


def test_the_loss_of_googlenet_in_training_has_those_of_its_helpers_in_it():
    model = make(CLASSIC["googlenet"], head={"dropout": 0.0, "auxiliary_dropout": 0.0, "sizes": (4, 8)}).train()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eval()
    images, labels = noise(2, 3, 32, 32), torch.tensor([0, 2])
    states = model.base_model(images, output_hidden_states=True).hidden_states
    of_helpers = [
        F.cross_entropy(model.head.helpers[name](states[index]), labels)
        for name, index in (("inception4a", 3), ("inception4b", 4))
    ]
    expected = F.cross_entropy(model(images).logits, labels) + 0.3 * sum(of_helpers)
    output = model(images, labels=labels)
    assert_close(output.loss, expected)
    assert output.hidden_states is None
    assert_close(model.eval()(images, labels=labels).loss, F.cross_entropy(model(images).logits, labels))


def test_helpers_are_saved_and_get_the_new_labels(tmp_path):
    model = make(CLASSIC["googlenet"])
    model.save_pretrained(tmp_path)
    loaded = AutoModelForImageClassification.from_pretrained(tmp_path)
    name = "head.helpers.inception4a.classifier.weight"
    assert torch.equal(loaded.state_dict()[name], model.state_dict()[name])
    kept = loaded.head.helpers["inception4a"].fully_connected[0].weight.clone()
    loaded.reset_head(["cat", "dog", "emu", "fox"])
    assert {helper.classifier.out_features for helper in loaded.head.helpers.values()} == {4}
    assert torch.equal(loaded.head.helpers["inception4a"].fully_connected[0].weight, kept)
    loaded.train()(noise(2, 3, 32, 32), labels=torch.tensor([3, 1])).loss.backward()


def test_a_googlenet_without_helpers_trains_as_well():
    model = make(CLASSIC["googlenet"], head={"name": "linear"}).train()
    model(noise(2, 3, 32, 32), labels=torch.tensor([2, 1])).loss.backward()
    assert not [name for name in model.state_dict() if "helpers" in name]
    assert model.config.head == {"name": "linear", "dropout": 0.2}
    model.reset_head(2)


def test_pixels_normalised_by_imagenets_colours_become_those_that_the_weights_expect():
    model = make(CLASSIC["googlenet"], transform_input=True)
    plain = make(CLASSIC["googlenet"])
    pixels = torch.rand(1, 3, 32, 32)
    mean, deviation = (
        torch.tensor(numbers).view(3, 1, 1) for numbers in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    assert_close(model((pixels - mean) / deviation).logits, plain((pixels - 0.5) / 0.5).logits)


def test_dropout_stands_where_the_network_has_it():
    model = make(PLAIN["alexnet"], fully_connected_dropouts=(0.5, 0.0), head={"dropout": 0.0})
    images = noise(4, 3, 32, 32)
    fc6 = [model.train().get_features("fc6", pixel_values=images) for _ in range(2)]
    assert not torch.equal(*fc6)
    model = make(PLAIN["alexnet"], fully_connected_dropouts=(0.0, 0.5), head={"dropout": 0.0}).train()
    assert torch.equal(model.get_features("fc6", pixel_values=images), model.get_features("fc6", pixel_values=images))
    assert not torch.equal(
        model.get_features("fc7", pixel_values=images), model.get_features("fc7", pixel_values=images)
    )


# Larger and smaller images


@each_classic
def test_the_score_map_at_the_networks_own_size_is_its_logits(architecture):
    model, images = make(architecture), noise(2, 3, 32, 32)
    score_map = model.get_score_map(images)
    assert score_map.shape == (2, 3, 1, 1)
    assert_close(score_map.flatten(1), model(images).logits)


@each_classic
def test_an_optimized_network_gives_the_same_map_of_a_larger_image(architecture):
    model, images = make(architecture), noise(1, 3, 96, 128)
    score_map = model.get_score_map(images)
    assert min(score_map.shape[2:]) > 1
    assert_close(muybridge.optimize(model, exact=True).get_score_map(images), score_map, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["alexnet", "vgg"])
def test_the_score_map_is_what_the_network_gives_slid_over_the_image(name):
    # Without padding every place sees the very pixels that the network sees in a crop.
    unpadded = {"paddings": (0,) * 5, "kernel_sizes": (3, 1, 1, 1, 3), "strides": (1,) * 5, "depths": (1,) * 5}
    model = make(PLAIN[name], **unpadded, pooled_stages=(1, 5), pooling_size=2, image_size=16)
    images, stride = noise(1, 3, 24, 32), 4
    score_map = model.get_score_map(images)
    assert score_map.shape == (1, 3, 3, 5)
    for row in range(3):
        for column in range(5):
            crop = images[..., stride * row : stride * row + 16, stride * column : stride * column + 16]
            assert_close(score_map[..., row, column], model(crop).logits)


@each_plain
def test_a_larger_image_is_scored_by_the_mean_of_its_map(architecture):
    model, images = make(architecture), noise(2, 3, 96, 128)
    assert_close(model(images).logits, model.get_score_map(images).mean(dim=(2, 3)))
    places = model.get_score_map(images).shape[2:]
    assert model.get_features("fc7", pixel_values=images).shape == (2, *places, 20)
    assert model.get_features(pixel_values=images).shape == (2, 20)


@each_plain
def test_a_network_that_pools_adaptively_takes_any_size(architecture):
    model = make(architecture, pooled_size=2)
    for size in ((32, 32), (70, 101)):
        images = noise(2, 3, *size)
        maps = model.get_features("conv5", pixel_values=images)
        expected = model.base_model.fc6(F.adaptive_avg_pool2d(maps, 2).flatten(1))
        assert_close(model.get_features("fc6", pixel_values=images), expected)


def test_googlenet_scores_a_larger_image_by_the_mean_of_its_last_map():
    model, images = make(CLASSIC["googlenet"]), noise(2, 3, 96, 128)
    maps = model.base_model(images).last_hidden_state
    assert_close(model(images).logits, model.head.classifier(maps.mean(dim=(2, 3))))


@each_classic
def test_an_image_too_small_is_refused_with_the_size_that_is_needed(architecture):
    model = make(architecture)
    trunk = model.base_model
    smallest = trunk.smallest_side
    assert model(noise(1, 3, smallest, smallest)).logits.isfinite().all()
    if smallest > 1:
        with pytest.raises(ValueError, match=rf"the images are 40×{smallest - 1}; .* takes {smallest}×{smallest} or"):
            model(noise(1, 3, 40, smallest - 1))


@each_plain
def test_the_smallest_size_is_that_below_which_the_layers_themselves_fail(architecture):
    trunk = make(architecture).base_model
    smallest = trunk.config.find_smallest_side(1)

    def run(side):
        hidden = noise(1, 3, side, side)
        for name in trunk.convolution_names:
            hidden = trunk.get_submodule(name)(hidden)
        return hidden

    assert run(smallest).shape[-1] >= 1
    if smallest > 1:
        with pytest.raises(RuntimeError):
            run(smallest - 1)


def test_a_config_of_images_that_vanish_is_refused():
    with pytest.raises(Exception, match=r"an image of 31×31 vanishes in this network's stages; use image_size ≥ 32"):
        vgg.VGGConfig(image_size=31)
    with pytest.raises(Exception, match=r"windows of 5×5 places, and their maps have 4×4; set pooling to 'adaptive'"):
        googlenet.GoogLeNetConfig.from_preset("2014", image_size=64)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"depths": (1, 1)}, "name one value a stage each"),
        ({"strides": (1, 1, 0, 1, 1)}, "every one must be 1 or more"),
        ({"pooled_stages": (6,)}, "there are the stages 1 to 5"),
        ({"fully_connected_dropouts": (0.5,)}, "must name one value a layer"),
        ({"fully_connected_sizes": (), "fully_connected_dropouts": ()}, "for one layer or more"),
    ],
)
def test_fields_that_do_not_fit_each_other_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        alexnet.AlexNetConfig(**fields)


# Layers and switches


@each_plain
def test_max_poolings_return_where_their_maxima_were(architecture):
    trunk, images = make(architecture).base_model, noise(2, 3, 32, 32)
    output = trunk(images, output_switches=True)
    assert_close(output.pooler_output, trunk(images).pooler_output, rtol=0, atol=0)
    assert trunk(images).switches is None
    poolings = [name for name, module in trunk.named_modules() if isinstance(module, MaxPooling2d)]
    assert len(output.switches) == len(poolings) == len(trunk.config.pooled_stages)
    for name, switches in zip(poolings, output.switches, strict=True):
        seen = []
        handle = trunk.get_submodule(name).register_forward_hook(lambda *call, seen=seen: seen.append(call[1:]))
        trunk(images)
        handle.remove()
        (((before,), after),) = seen
        pooling = trunk.get_submodule(name)
        unpooled = F.max_unpool2d(after, switches, pooling.kernel_size, pooling.stride, output_size=before.shape[-2:])
        places = unpooled != 0
        assert_close(unpooled[places], before[places], rtol=0, atol=0)
        assert_close(pooling(unpooled), after, rtol=0, atol=0)


def test_layers_within_a_stage_are_reached_by_the_papers_names():
    model, images = make(PLAIN["vgg"]), noise(1, 3, 32, 32)
    conv2_1 = model.get_features("conv2.conv2_1", pixel_values=images)
    trunk = model.base_model
    assert_close(conv2_1, trunk.conv2.conv2_1(trunk.conv1(images)))
    assert_close(
        model.get_features("conv2.pool2", pixel_values=images), model.get_features("conv2", pixel_values=images)
    )


# From a file to a label


@pytest.fixture
def picture():
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 40, 3), dtype=np.uint8))


def saved(architecture, folder):
    model = make(architecture, id2label={0: "cat", 1: "dog", 2: "emu"}, label2id={"cat": 0, "dog": 1, "emu": 2})
    processor = architecture.processor(
        size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}, image_mean=[0.5], image_std=[0.5],
        rescale_factor=1 / 255,
    )  # fmt: skip
    facts = CardFacts("A test", folder.name, "What it is.", "mit", "muybridge convert …", architecture.papers)
    save_checkpoint(folder, model, processor, write_card(model, facts))
    return model


@each_classic
def test_pictures_of_every_kind_become_the_same_label(architecture, tmp_path, picture):
    model = saved(architecture, tmp_path / "model")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    file, written = tmp_path / "turned.png", io.BytesIO()
    picture.rotate(90, expand=True).save(file, exif=exif)
    picture.save(written, format="PNG")
    processor = AutoImageProcessor.from_pretrained(tmp_path / "model")
    assert type(processor) is architecture.processor
    expected = processor(picture, return_tensors="pt").pixel_values
    for given in (file, str(file), written.getvalue(), np.asarray(picture)):
        assert torch.equal(processor(given, return_tensors="pt").pixel_values, expected)
    labels = pipeline("image-classification", model=str(tmp_path / "model"))(str(file))
    scores = model(expected).logits.softmax(-1)[0].tolist()
    assert {label["label"]: pytest.approx(label["score"], abs=1e-5) for label in labels} == dict(
        zip(("cat", "dog", "emu"), scores, strict=True)
    )
    features = pipeline("image-feature-extraction", model=str(tmp_path / "model"), pool=True)(str(file))
    assert_close(torch.tensor(features), model.get_features(pixel_values=expected))


@each_classic
def test_the_probabilities_of_ten_crops_are_averaged(architecture, tmp_path, picture):
    model = saved(architecture, tmp_path / "model")
    processor = AutoImageProcessor.from_pretrained(tmp_path / "model", num_crops=10)
    crops = processor([picture, picture], return_tensors="pt").pixel_values
    assert crops.shape == (2, 10, 3, 32, 32)
    expected = torch.stack([model(crop[None]).logits.softmax(-1)[0] for crop in crops[0]]).mean(0)
    assert_close(model(crops).logits.softmax(-1)[0], expected, rtol=1e-4, atol=1e-6)
    labels = pipeline("image-classification", model=model, image_processor=processor)(picture)
    assert labels[0]["score"] == pytest.approx(expected.max().item(), abs=1e-5)


@each_classic
def test_cards_and_info_speak_of_images(architecture, tmp_path, capsys):
    model = saved(architecture, tmp_path / "model")
    text = (tmp_path / "model" / "README.md").read_text()
    fields = parse_card(text)
    assert fields["pipeline_tag"] == "image-classification"
    assert fields["tags"] == ["image", "image-classification", architecture.name]
    assert 'classify = pipeline("image-classification", model="model")\nprint(classify("picture.jpg"))' in text
    assert "- Input: 32×32\n" in text
    assert "G an image" in text
    assert "Every image gets one of the labels" in text
    assert not any(word in text for word in ("video", "clip", "frames", "Protocol"))
    assert main(["info", str(tmp_path / "model")]) == 0
    told = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    facts = {name.strip(): value.strip() for name, value in told.items()}
    assert facts["input"] == "3×32×32"
    assert (facts["parameters"], facts["licence"]) == (str(count_parameters(model)), "mit")
    assert facts["processor"] == architecture.processor.__name__
    assert "protocol" not in facts


def test_a_converted_resnet_is_one_of_transformers_with_a_processor_that_is_found(tmp_path, picture, capsys):
    architecture = SOURCES["torchvision/resnet18"].architecture
    torch.manual_seed(0)
    model = architecture.task_model(architecture.config(**architecture.tiny, num_labels=3)).eval()
    facts = CardFacts("A test", "model", "What it is.", "mit", "muybridge convert …", architecture.papers)
    save_checkpoint(tmp_path / "model", model, architecture.processor(), write_card(model, facts))
    picture.save(tmp_path / "picture.png")
    processor = AutoImageProcessor.from_pretrained(tmp_path / "model")
    pixels = processor(str(tmp_path / "picture.png"), return_tensors="pt").pixel_values
    assert pixels.shape == (1, 3, 224, 224)
    labels = pipeline("image-classification", model=str(tmp_path / "model"))(str(tmp_path / "picture.png"))
    with torch.no_grad():
        expected = model(pixels).logits.softmax(-1)[0].max()
    assert labels[0]["score"] == pytest.approx(expected.item(), abs=1e-5)
    assert main(["info", str(tmp_path / "model")]) == 0
    assert "3×224×224" in capsys.readouterr().out


def test_the_command_converts_verifies_and_describes_the_weights_of_a_resnet(tmp_path, capsys):
    golden = Golden.load("torchvision_resnet18")
    torch.save(golden.state_dict(), tmp_path / "resnet18.pth")
    words = ["torchvision/resnet18", str(tmp_path / "resnet18.pth"), "--output", str(tmp_path / "model"), "--verify"]
    assert main(["convert", *words]) == 0
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert names == {"README.md", "config.json", "model.safetensors", "preprocessor_config.json"}
    model = AutoModelForImageClassification.from_pretrained(tmp_path / "model")
    assert (type(model), model.config.id2label[207]) == (ResNetForImageClassification, "golden retriever")
    assert main(["info", str(tmp_path / "model")]) == 0
    assert "11689512" in capsys.readouterr().out


def test_a_checkpoint_of_images_can_be_published(tmp_path):
    saved(CLASSIC["vgg"], tmp_path / "model")
    assert check_folder(tmp_path / "model", without=["results"]).task == "image-classification"
    (tmp_path / "model" / "preprocessor_config.json").unlink()
    with pytest.raises(
        PublishingError, match=r"it has no video_preprocessor_config\.json or preprocessor_config\.json"
    ):
        check_folder(tmp_path / "model")


def test_every_architecture_for_images_is_listed_with_its_size(capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, size in (("alexnet", "227×227"), ("zfnet", "224×224"), ("googlenet", "224×224")):
        assert name in list_architectures("image-classification")
        assert any(name in line and size in line for line in lines)
    assert any("torchvision/resnet50" in line and "imagenet-1k" in line for line in lines)
