"""Inflated, an image network gives for a video of one still frame what it gives for the frame."""

import pytest
import torch
from torch.testing import assert_close
from transformers import ResNetConfig, ResNetForImageClassification, ResNetModel

from muybridge import inflate
from muybridge.models.adapters import find_head
from muybridge.models.c3d import C3DConfig, C3DForVideoClassification
from muybridge.models.googlenet import GoogLeNetConfig, GoogLeNetForImageClassification
from muybridge.models.i3d import I3DForVideoClassification
from muybridge.models.inspection import make_random_inputs
from muybridge.models.vgg import VGGConfig, VGGForImageClassification
from muybridge.models.video_resnet import VideoResNetForVideoClassification

LABELS = {0: "walk", 1: "run", 2: "jump"}
TINY_MODULES = [[3, 2, 4, 1, 2, 2]] * 9


def googlenet(**fields):
    return GoogLeNetForImageClassification(
        GoogLeNetConfig(
            stem_sizes=(4, 4, 6), inception_sizes=TINY_MODULES, image_size=40, head={"name": "linear"},
            id2label=LABELS, **fields,
        )
    )  # fmt: skip


def resnet(layer_type="basic", **fields):
    hidden_sizes = (4, 6, 8) if layer_type == "basic" else (16, 24, 32)
    return ResNetForImageClassification(
        ResNetConfig(
            **{"embedding_size": 4, **fields}, hidden_sizes=hidden_sizes, depths=(1, 2, 1), layer_type=layer_type,
            id2label=LABELS,
        )
    )  # fmt: skip


def vgg(**fields):
    return VGGForImageClassification(
        VGGConfig(
            **{
                "depths": (1, 2, 1), "hidden_sizes": (4, 6, 8), "kernel_sizes": (3,) * 3, "strides": (1,) * 3,
                "paddings": (1,) * 3, "groups": (1,) * 3, "pooled_stages": (1, 2, 3), "image_size": 18,
                "fully_connected_sizes": (12, 12), "id2label": LABELS, **fields,
            }
        )
    )  # fmt: skip


MODULES = [f"mixed_{name}" for name in ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")]

# Kernel, stride and padding in time of everything between one stage's output and the next one's, by the layer of the
# video network that ends where the image network's stage does.
CONVOLUTION, HALVING, PLAIN_POOLING = (3, 1, 1), (3, 2, 1), (2, 2, 0)
I3D_TIMES = {
    "max_pool3d_2a_3x3": [(7, 2, 3)],
    "max_pool3d_3a_3x3": [CONVOLUTION],
    **{name: [CONVOLUTION] for name in MODULES},
    "mixed_4b": [(3, 2, 0), CONVOLUTION],
    "mixed_5b": [PLAIN_POOLING, CONVOLUTION],
}
R3D_TIMES = {
    "stem": [(7, 1, 3), HALVING],
    "stages.0": [CONVOLUTION] * 2,
    "stages.1": [HALVING, *[CONVOLUTION] * 3],
    "stages.2": [HALVING, CONVOLUTION],
}
BOTTLENECK_TIMES = {
    "stem": [(7, 1, 3), HALVING],
    "stages.0": [CONVOLUTION],
    "stages.1": [HALVING, CONVOLUTION],
    "stages.2": [HALVING],
}
C3D_TIMES = {
    "stages.0": [CONVOLUTION],
    "stages.1": [*[CONVOLUTION] * 2, PLAIN_POOLING],
    "stages.2": [CONVOLUTION, PLAIN_POOLING],
}
CASES = {
    "googlenet": (googlenet, I3DForVideoClassification, I3D_TIMES, 136),
    "resnet": (resnet, VideoResNetForVideoClassification, R3D_TIMES, 96),
    "bottleneck": (lambda: resnet("bottleneck"), VideoResNetForVideoClassification, BOTTLENECK_TIMES, 48),
    "vgg": (vgg, C3DForVideoClassification, C3D_TIMES, 32),
    "vgg_bn": (lambda: vgg(has_batch_norm=True), C3DForVideoClassification, C3D_TIMES, 32),
}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def trained(model):
    """With statistics and weights as after training, so that a forgotten one shows."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.ndim > 1:
                torch.nn.init.kaiming_normal_(tensor)
            elif name.endswith("weight"):
                tensor.copy_(0.5 + torch.rand_like(tensor))
            elif tensor.is_floating_point():
                tensor.copy_(0.2 * torch.rand_like(tensor) + (1 if name.endswith("running_var") else 0))
    return model.eval()


def image_and_still_video(model, num_frames):
    size = getattr(model.config, "image_size", 40)
    image = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    return image, image[:, None].expand(-1, num_frames, -1, -1, -1)


def states_of_image(model, image, num_states):
    """What the stages give that are maps of features."""
    return model(image, output_hidden_states=True).hidden_states[:num_states]


def clear_positions(layers, num_frames):
    """The positions in time whose receptive field lies within the video."""
    start, width, step, size = 0, 1, 1, num_frames
    for kernel, stride, padding in layers:
        start, width, step = start - padding * step, width + (kernel - 1) * step, step * stride
        size = (size + 2 * padding - kernel) // stride + 1
    inside = [start + step * place >= 0 and start + step * place + width <= num_frames for place in range(size)]
    return [place for place, is_inside in enumerate(inside) if is_inside]


@each_case
def test_a_still_video_gives_the_images_hidden_states_where_no_zero_beside_the_video_is_seen(case):
    make, _, times, num_frames = case
    image_model = trained(make())
    image, video = image_and_still_video(image_model, num_frames)
    video_model = inflate(image_model, num_frames=num_frames)
    seen = []
    with torch.inference_mode():
        for (name, layers), expected in zip(
            times.items(), states_of_image(image_model, image, len(times)), strict=True
        ):
            seen += layers
            state = video_model.get_features(name, pixel_values_videos=video)
            places = clear_positions(seen, num_frames)
            assert places
            assert expected.std() > 0.01
            assert_close(
                state[:, :, places], expected[:, :, None].expand(-1, -1, len(places), -1, -1), rtol=1e-4, atol=1e-4
            )


@each_case
def test_near_the_ends_of_a_still_video_the_zeros_beside_it_are_seen(case):
    make, _, times, num_frames = case
    image_model = trained(make())
    image, video = image_and_still_video(image_model, num_frames)
    with torch.inference_mode():
        state = inflate(image_model, num_frames=num_frames).get_features(next(iter(times)), pixel_values_videos=video)
        expected = states_of_image(image_model, image, 1)[0]
    assert (state[:, :, 0] - expected).abs().max() > 1e-2


@each_case
def test_with_filters_in_the_middle_a_still_video_gives_all_that_the_image_gives(case):
    make, _, times, _ = case
    image_model = trained(make())
    image, video = image_and_still_video(image_model, 16)
    video_model = inflate(image_model, num_frames=16, center=True)
    with torch.inference_mode():
        for name, expected in zip(times, states_of_image(image_model, image, len(times)), strict=True):
            state = video_model.get_features(name, pixel_values_videos=video)
            assert_close(state, expected[:, :, None].expand_as(state), rtol=1e-4, atol=1e-4)
        output, expected = video_model(video, output_hidden_states=True), image_model(image, output_hidden_states=True)
    assert_close(output.logits, expected.logits, rtol=1e-4, atol=1e-4)
    features, expected_features = (states.hidden_states[-1] for states in (output, expected))
    if expected_features.ndim > 2:  # not fully connected
        features, expected_features = features.mean((2, 3, 4)), expected_features.mean((2, 3))
    assert_close(features, expected_features, rtol=1e-4, atol=1e-4)


@each_case
def test_the_classifier_and_the_labels_come_along(case, tmp_path):
    make, video_class, _, num_frames = case
    image_model = trained(make())
    video_model = inflate(image_model, num_frames=num_frames)
    assert type(video_model) is video_class
    assert not video_model.training
    assert video_model.config.num_frames == num_frames
    assert video_model.config.id2label == LABELS
    head = find_head(image_model)
    linear = head if isinstance(head, torch.nn.Linear) else head.classifier
    assert torch.equal(video_model.get_head().classifier.weight, linear.weight)
    video_model.save_pretrained(tmp_path)
    again = video_class.from_pretrained(tmp_path)
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in video_model.state_dict().items())


@each_case
def test_every_weight_is_taken_and_shares_no_memory_with_the_image_network(case):
    make, _, _, num_frames = case
    image_model = trained(make())
    video_model = inflate(image_model, num_frames=num_frames)
    used = sum(tensor.sum().item() for name, tensor in video_model.state_dict().items() if "num_batches" not in name)
    whole = sum(tensor.sum().item() for name, tensor in image_model.state_dict().items() if "num_batches" not in name)
    assert used == pytest.approx(whole, rel=1e-4, abs=1e-3)  # the parts of a filter add up to it
    before = {name: tensor.clone() for name, tensor in video_model.state_dict().items()}
    with torch.no_grad():
        for parameter in image_model.parameters():
            parameter.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in video_model.state_dict().items())


def test_filters_are_repeated_and_divided_by_how_often():
    image_model = trained(resnet())
    video_model = inflate(image_model, num_frames=8)
    flat = image_model.resnet.embedder.embedder.convolution.weight
    assert_close(video_model.video_resnet.stem.convolution.weight, torch.stack([flat / 7] * 7, dim=2))


def test_fully_connected_layers_are_repeated_along_time_too():
    image_model = trained(vgg())
    video_model = inflate(image_model, num_frames=8)  # two positions are left
    image_map, video_map = torch.randn(1, 8, 2, 2), torch.randn(1, 8, 2, 2, 2)
    flat = image_model.vgg.fc4[0]
    expected = (flat(video_map[:, :, 0].flatten(1)) + flat(video_map[:, :, 1].flatten(1))) / 2
    assert_close(video_model.c3d.fc6[0](video_map.flatten(1)), expected)
    assert_close(video_model.c3d.fc6[0](torch.stack([image_map] * 2, 2).flatten(1)), flat(image_map.flatten(1)))


def test_an_i3d_of_a_googlenet_that_transforms_its_input_takes_what_it_transforms_to():
    image_model = trained(googlenet(transform_input=True))
    pixels = torch.rand(2, 3, 40, 40) * 2 - 1
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalized = ((pixels + 1) / 2 - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    video = pixels[:, None].expand(-1, 16, -1, -1, -1)
    with torch.inference_mode():
        logits = inflate(image_model, num_frames=16, center=True)(video).logits
        assert_close(logits, image_model(normalized).logits, rtol=1e-4, atol=1e-4)


def test_what_cannot_be_inflated_is_told_what_can():
    message = r"ResNetModel cannot be inflated.* VGG .*; GoogLeNet with batch norm .*; ResNet of transformers "
    with pytest.raises(TypeError, match=message):
        inflate(ResNetModel(resnet().config))
    with pytest.raises(TypeError, match="Linear cannot be inflated"):
        inflate(torch.nn.Linear(2, 2))
    with pytest.raises(TypeError, match="I3DForVideoClassification cannot be inflated"):
        inflate(inflate(googlenet(), num_frames=16))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: googlenet(has_batch_norm=False), "has_batch_norm is False"),
        (lambda: googlenet(large_kernel_size=5), "large_kernel_size is 5; of this architecture only networks with 3"),
        (lambda: resnet(hidden_act="gelu"), "hidden_act is gelu"),
        (lambda: resnet(embedding_size=8), "embedding_size is 8; of this architecture only networks with 4"),
        (lambda: vgg(pooled_size=3), "pooled_size is 3; of this architecture only networks with 2"),
        (lambda: vgg(fully_connected_sizes=(12, 8)), r"fully_connected_sizes is \(12, 8\)"),
    ],
)
def test_a_network_that_its_video_form_does_not_have_is_refused_by_the_field(model, message):
    with pytest.raises(ValueError, match=message):
        inflate(model())


@pytest.mark.parametrize("is_padded", [True, False])
def test_a_c3d_runs_on_the_smallest_clip_that_its_config_takes(is_padded):
    fields = {"depths": (1, 1, 1), "hidden_sizes": (4, 4, 4), "fully_connected_size": 8}
    fields |= {"num_frames": 4, "image_size": 4 if is_padded else 8, "is_last_pooling_padded": is_padded}
    model = C3DForVideoClassification(C3DConfig(**fields, has_batch_norm=True)).eval()
    assert model(**make_random_inputs(model)).logits.isfinite().all()
    for name in ("num_frames", "image_size"):
        with pytest.raises(
            Exception, match=f"vanish in 3 poolings; use num_frames ≥ 4 and image_size ≥ {fields['image_size']}"
        ):
            C3DConfig(**{**fields, name: fields[name] - 1})
