"""Image encoders on frames: which are taken, what is read from them, and what is refused."""

import json

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from torch.testing import assert_close
from transformers import (
    AutoConfig,
    AutoModelForVideoClassification,
    BertConfig,
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    ConvNextConfig,
    Dinov2Config,
    IJepaConfig,
    MobileNetV2Config,
    PoolFormerConfig,
    ResNetConfig,
    ResNetForImageClassification,
    SwinConfig,
    VideoMAEConfig,
    ViTConfig,
    ViTForImageClassification,
    ViTMAEConfig,
    ViTMSNConfig,
)

from muybridge.models.frame_pooling import FramePoolingConfig, FramePoolingForVideoClassification
from muybridge.models.lrcn import LRCNForVideoClassification
from muybridge.models.simple_cnn import TINY_BACKBONE, SimpleCNNConfig, SimpleCNNForImageClassification
from muybridge.models.simple_cnn.layers import build_layer, compute_shape

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32, "patch_size": 16}
TRANSFORMER = {**SMALL, "intermediate_size": 16}
RESNET = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
# For each encoder, how its features follow from its output: as the module's rules say, written out by hand.
ENCODERS = {
    "resnet": (ResNetConfig(**RESNET), lambda output: output.pooler_output[:, :, 0, 0]),
    "convnext": (
        ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, image_size=32),
        lambda output: output.pooler_output,
    ),
    "swin": (
        SwinConfig(image_size=32, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4),
        lambda output: output.pooler_output,
    ),
    "vit": (ViTConfig(**TRANSFORMER), lambda output: output.pooler_output),
    "dinov2": (Dinov2Config(**SMALL), lambda output: output.pooler_output),
    "clip": (CLIPVisionConfig(**TRANSFORMER), lambda output: output.pooler_output),
    "a class token alone": (ViTMSNConfig(**TRANSFORMER), lambda output: output.last_hidden_state[:, 0]),
    "positions alone": (IJepaConfig(**TRANSFORMER), lambda output: output.last_hidden_state.mean(1)),
    "a map alone": (
        PoolFormerConfig(hidden_sizes=[8, 8, 8, 16], depths=[1, 1, 1, 1]),
        lambda output: output.last_hidden_state.flatten(2).mean(2),
    ),
    "ours": (SimpleCNNConfig(**{**TINY_BACKBONE, "model_type": "simple_cnn"}), lambda output: output.pooler_output),
}  # fmt: skip


def network(config, **fields):
    torch.manual_seed(0)
    fields = {"backbone_config": config, "image_size": 32, "num_labels": 3, "num_frames": 2, **fields}
    return FramePoolingForVideoClassification(FramePoolingConfig(**fields)).eval()


def images(batch=2):
    return torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ENCODERS)
def test_the_features_of_a_frame_are_those_that_the_rules_say(name):
    config, features = ENCODERS[name]
    model = network(config)
    encoder = model.base_model.encoder
    expected = features(encoder.network(images()))
    assert_close(encoder(images()), expected)
    assert expected.shape == (2, model.config.frame_hidden_size) == (2, model.config.hidden_size)


@pytest.mark.parametrize("name", ["resnet", "clip", "ours"])
def test_a_saved_network_comes_back_with_its_encoder(name, tmp_path):
    model = network(ENCODERS[name][0])
    model.save_pretrained(tmp_path)
    loaded = AutoModelForVideoClassification.from_pretrained(tmp_path).eval()
    clips = images(4).unflatten(0, (2, 2))
    assert torch.equal(loaded(clips).logits, model(clips).logits)
    assert type(loaded.config.backbone_config) is type(model.config.backbone_config)
    again = AutoConfig.for_model(**json.loads(model.config.to_json_string()))
    assert json.loads(again.to_json_string()) == json.loads(model.config.to_json_string())


def test_frames_pass_through_the_encoder_one_by_one():
    model = network(ENCODERS["dinov2"][0])
    clips = images(6).unflatten(0, (2, 3))
    hidden = model.base_model(clips).last_hidden_state
    for video in range(2):
        for time in range(3):
            assert_close(hidden[video, time], model.base_model.encoder(clips[video, time][None])[0])


def test_the_number_of_features_is_known_without_building_the_network():
    huge = ViTConfig(hidden_size=10**7, num_attention_heads=1, intermediate_size=10**9, num_hidden_layers=10**3)
    assert FramePoolingConfig(backbone_config=huge).hidden_size == 10**7
    assert FramePoolingConfig(backbone_config={"model_type": "resnet", "hidden_sizes": [8, 24]}).hidden_size == 24


def test_the_stages_are_the_encoders_own_where_it_is_ours_and_else_one():
    ours, theirs = network(ENCODERS["ours"][0]), network(ENCODERS["resnet"][0])
    assert ours.get_stages()[:-1] == ours.base_model.encoder.network.get_stages()
    assert theirs.get_stages()[:-1] == [theirs.base_model.encoder]
    for model in (ours, theirs):
        staged = {id(parameter) for stage in model.get_stages() for parameter in stage.parameters()}
        assert staged == {id(parameter) for parameter in model.base_model.parameters()}


def test_a_frozen_encoder_of_transformers_gets_no_gradient():
    model = network(ENCODERS["vit"][0], fusion="attention")
    model.get_trunk().requires_grad_(False)
    model.get_stages()[-1].requires_grad_(True)
    model(images(4).unflatten(0, (2, 2)), labels=torch.tensor([0, 1])).loss.backward()
    assert all(parameter.grad is None for parameter in model.base_model.encoder.parameters())
    assert model.base_model.fusion.score.weight.grad is not None


def test_layers_of_the_encoder_are_averaged_over_views_frame_by_frame():
    model = network(ENCODERS["ours"][0])
    views = torch.randn(2, 3, 4, 3, 32, 32)  # (B, V, T, C, H, W)
    given = model.get_features("encoder.network.stages.0", pixel_values_videos=views)
    one_by_one = [
        model.get_features("encoder.network.stages.0", pixel_values_videos=views[:, view]) for view in range(3)
    ]
    assert given.shape[0] == 2 * 4
    assert_close(given, torch.stack(one_by_one).mean(0))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (BertConfig(), "BertConfig, whose network takes input_ids and is no image encoder"),
        ({"model_type": "bert"}, "BertConfig, whose network takes input_ids"),
        (VideoMAEConfig(), "VideoMAEConfig, whose network takes clips of 16 frames and is no image encoder"),
        ({"model_type": "c3d"}, "C3DConfig, whose network takes pixel_values_videos"),
        (ViTMAEConfig(**TRANSFORMER), "mask_ratio 0.75: it hides patches"),
        ({"hidden_size": 16}, "names no model_type; its fields are hidden_size"),
        ({"model_type": "resnet101"}, "resnet101"),
        (MobileNetV2Config(), "MobileNetV2Config has none of .*; say in frame_hidden_size"),
    ],
)
def test_what_is_no_image_encoder_is_refused_when_the_config_is_made(config, message):
    with pytest.raises(ValueError, match=message):
        FramePoolingConfig(backbone_config=config)


def test_a_wrong_number_of_features_is_refused_when_the_network_is_made():
    with pytest.raises(ValueError, match=r"ResNetModel makes 16 features of an image, not the 7.*frame_hidden_size=16"):
        network(ENCODERS["resnet"][0], frame_hidden_size=7)
    small = MobileNetV2Config(depth_multiplier=0.1, image_size=32)
    assert network(small, frame_hidden_size=1280)(images(2)[None]).logits.shape == (1, 3)


def test_an_output_that_is_not_understood_names_the_class_and_what_is_expected():
    with pytest.raises(
        ValueError, match=r"output of IJepaModel is not understood: .*last_hidden_state.*='pooled' is pooler_output \(N"
    ):
        network(ENCODERS["positions alone"][0], frame_features="pooled")
    with pytest.raises(ValueError, match=r"ResNetModel is not understood: .*='class_token' is the first .*or to None"):
        network(ENCODERS["resnet"][0], frame_features="class_token")


@pytest.mark.parametrize(("field", "value"), [("image_size", 48), ("num_channels", 1)])
def test_sizes_that_differ_from_the_encoders_are_refused(field, value):
    with pytest.raises(StrictDataclassError, match=f"{field} is {value}, and the ViTConfig has .*; they must agree"):
        network(ENCODERS["vit"][0], **{field: value})


def test_a_clip_config_gives_its_vision_part():
    config = CLIPConfig(vision_config=TRANSFORMER)
    assert isinstance(FramePoolingConfig(backbone_config=config, image_size=32).backbone_config, CLIPVisionConfig)


# Trained encoders


@pytest.mark.parametrize("architecture", [FramePoolingForVideoClassification, LRCNForVideoClassification])
def test_a_classifier_on_a_trained_encoder_has_its_weights(architecture, tmp_path):
    trained = ResNetForImageClassification(ResNetConfig(**RESNET)).eval()
    trained.save_pretrained(tmp_path)
    expected = trained.resnet(images()).pooler_output.flatten(1)
    for backbone in (tmp_path, str(tmp_path), trained):
        model = architecture.from_backbone(backbone, image_size=32, num_labels=5, num_frames=2).eval()
        assert_close(model.base_model.encoder(images()), expected)
        assert model(images(2)[None]).logits.shape == (1, 5)
    assert str(tmp_path) not in model.config.to_json_string()


def test_a_classifier_on_a_trained_encoder_of_ours_has_its_weights(tmp_path):
    trained = SimpleCNNForImageClassification(ENCODERS["ours"][0]).eval()
    trained.save_pretrained(tmp_path)
    model = FramePoolingForVideoClassification.from_backbone(tmp_path).eval()
    assert model.config.image_size == 32
    assert_close(model.base_model.encoder(images()), trained.get_features(pixel_values=images()))


def test_a_trained_clip_gives_its_vision_part(tmp_path):
    text = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8, "vocab_size": 9}
    clip = CLIPModel(CLIPConfig(vision_config=TRANSFORMER, text_config=text)).eval()
    clip.half().save_pretrained(tmp_path)
    model = FramePoolingForVideoClassification.from_backbone(tmp_path).eval()
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert_close(model.base_model.encoder(images()), clip.float().vision_model(images()).pooler_output)


def test_weights_that_the_trained_encoder_lacks_are_named_with_the_remedy(tmp_path):
    trained = ViTForImageClassification(ViTConfig(**TRANSFORMER)).eval()  # which is trained without a pooler
    trained.save_pretrained(tmp_path)
    with pytest.raises(
        ValueError, match=r"lacks weights of ViTModel: pooler\.dense\.bias.*frame_features='class_token'"
    ):
        FramePoolingForVideoClassification.from_backbone(tmp_path)
    model = FramePoolingForVideoClassification.from_backbone(tmp_path, frame_features="class_token").eval()
    assert_close(model.base_model.encoder(images()), trained.vit(images()).last_hidden_state[:, 0])


# The small network of listed layers


@pytest.mark.parametrize("kind", ["max_pooling", "average_pooling"])
@pytest.mark.parametrize(("size", "kernel", "stride"), [(7, 3, 2), (8, 3, 2), (5, 4, 1), (6, 2, 3), (9, 5, 4)])
def test_pooling_padded_as_tensorflow_does_it_takes_no_padding_in(kind, size, kernel, stride):
    layer = {"kind": kind, "kernel_size": kernel, "stride": stride, "padding": "same"}
    image = torch.randn(1, 2, size, size) - 5  # below zero, so that a zero that was taken in would show
    places = -(-size // stride)
    before = max((places - 1) * stride + kernel - size, 0) // 2
    starts = [place * stride - before for place in range(places)]
    reduce = torch.amax if kind == "max_pooling" else torch.mean
    windows = [[image[..., max(y, 0) : y + kernel, max(x, 0) : x + kernel] for x in starts] for y in starts]
    expected = torch.stack([torch.stack([reduce(each, (2, 3)) for each in row], -1) for row in windows], -2)
    assert_close(nn.Sequential(*build_layer(layer, (2, size, size)))(image), expected)


def test_the_shapes_that_layers_are_said_to_give_are_those_that_they_give():
    layers = [
        {"kind": "convolution", "channels": 6, "kernel_size": [3, 2], "stride": [2, 1], "padding": "same", "groups": 3},
        {"kind": "average_pooling", "kernel_size": 3, "stride": 2, "padding": "same"},
        {"kind": "convolution", "channels": 4, "kernel_size": 3, "dilation": 2},
        {"kind": "activation", "function": "elu"},
        {"kind": "flatten"},
        {"kind": "linear", "features": 5},
        {"kind": "batch_norm"},
    ]
    hidden, shape = torch.randn(2, 3, 21, 22), (3, 21, 22)
    for layer in layers:
        hidden = nn.Sequential(*build_layer(layer, shape))(hidden)
        shape = compute_shape([layer], shape)
        assert tuple(hidden.shape[1:]) == shape


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"kind": "pooling"}, "the kind of the layer .* is 'pooling'; it must be one of convolution"),
        ({"kind": "convolution", "channels": 8}, "lacks kernel_size"),
        ({"kind": "flatten", "axis": 1}, "has no field axis"),
        ({"kind": "activation", "function": "mish"}, "no activation 'mish'; there are elu"),
        ({"kind": "max_pooling", "kernel_size": 40}, "nothing is left of the image"),
        ({"kind": "linear", "features": 4}, "takes a vector, not a map"),
        ({"kind": "convolution", "channels": 0, "kernel_size": 3}, "channels .* is 0; it must be 1 or more"),
    ],
)
def test_layers_that_cannot_be_are_refused(layer, message):
    with pytest.raises(ValueError, match=message):
        SimpleCNNConfig(layers=[layer], image_size=32)


def test_a_network_that_flattens_refuses_images_of_another_size():
    model = SimpleCNNForImageClassification(ENCODERS["ours"][0])
    with pytest.raises(ValueError, match=r"the images are 40×40; this network's layers take 32×32"):
        model(torch.randn(1, 3, 40, 40))
