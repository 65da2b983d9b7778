"""Frames fused: what each fusion computes, which of them know the frames' order, and how many frames they take."""

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from torch.testing import assert_close

from muybridge.models.frame_pooling import (
    FramePoolingConfig,
    FramePoolingForVideoClassification,
    FramePoolingVideoProcessor,
)
from muybridge.models.simple_cnn import TINY_BACKBONE
from muybridge.video import sample_segments

BLIND = ["mean", "max", "sum", "attention"]


def network(**fields):
    torch.manual_seed(0)
    config = FramePoolingConfig(
        **{
            "backbone_config": TINY_BACKBONE,
            "image_size": 32,
            "num_frames": 3,
            "num_labels": 4,
            "fusion_size": 8,
            **fields,
        }
    )
    model = FramePoolingForVideoClassification(config).eval()
    with torch.no_grad():  # scores and weights that differ from frame to frame
        model.head.classifier.weight.mul_(50)
        model.head.classifier.bias.normal_()
        if config.fusion == "attention":
            model.base_model.fusion.score.weight.mul_(100)
    return model


def clips(num_frames=3, batch=2):
    return torch.randn(batch, num_frames, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def features(model, clip):
    """Of each frame, (B, T, D)."""
    return torch.stack([model.base_model.encoder(clip[:, time]) for time in range(clip.shape[1])], dim=1)


def weighted(model, frames):
    scores = torch.einsum("btd,d->bt", frames, model.base_model.fusion.score.weight[0]).exp()
    return torch.einsum("bt,btd->bd", scores / scores.sum(1, keepdim=True), frames)


EXPECTED = {
    "mean": lambda _model, frames: frames.sum(1) / frames.shape[1],
    "max": lambda _model, frames: frames.sort(dim=1).values[:, -1],
    "sum": lambda _model, frames: frames[:, 0] + frames[:, 1] + frames[:, 2],
    "attention": weighted,
}


@pytest.mark.parametrize("fusion", BLIND)
def test_features_are_fused_as_the_name_says_and_then_classified(fusion):
    model = network(fusion=fusion)
    fused = EXPECTED[fusion](model, features(model, clips()))
    assert_close(model.get_features(pixel_values_videos=clips()), fused)
    assert_close(model(clips()).logits, fused @ model.head.classifier.weight.T + model.head.classifier.bias)


@pytest.mark.parametrize("fusion", ["mean", "max", "sum"])
def test_scores_are_fused_as_the_name_says(fusion):
    model = network(head={"name": "frames", "fusion": fusion, "aggregation": "logits"})
    scores = features(model, clips()) @ model.head.classifier.weight.T + model.head.classifier.bias
    assert_close(model(clips()).logits, EXPECTED[fusion](model, scores))


def test_the_consensus_of_segments_is_the_mean_of_their_scores_and_that_of_their_features():
    consensus = {"name": "frames", "aggregation": "logits"}
    of_features, of_scores = network(), network(head=consensus)
    assert_close(of_features(clips()).logits, of_scores(clips()).logits)
    largest = network(head={**consensus, "fusion": "max"})
    assert (network(fusion="max")(clips()).logits - largest(clips()).logits).abs().max() > 0.1


@pytest.mark.parametrize("fusion", BLIND)
def test_a_set_of_frames_has_no_order(fusion):
    model = network(fusion=fusion)
    shuffled = clips()[:, [2, 0, 1]]
    assert_close(model(clips()).logits, model(shuffled).logits)
    assert (model(clips()).logits - model(clips().flip(0)).logits).abs().max() > 1e-2  # but it does look at them


def test_a_network_over_the_frames_knows_their_order():
    model = network(fusion="network")
    scores = [model(clips()[:, order]).logits for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2])]
    assert (scores[0] - scores[1]).abs().max() > 1e-2
    assert (scores[0] - scores[2]).abs().max() > 1e-2


def test_a_network_over_the_frames_is_two_layers_on_their_features_side_by_side():
    model = network(fusion="network")
    first, second = (model.base_model.fusion.layers[index] for index in (0, 2))
    hidden = torch.relu(features(model, clips()).reshape(2, -1) @ first.weight.T + first.bias)
    assert_close(model.get_features(pixel_values_videos=clips()), torch.relu(hidden @ second.weight.T + second.bias))


@pytest.mark.parametrize("fusion", BLIND)
@pytest.mark.parametrize("num_frames", [1, 5])
def test_a_set_of_frames_may_have_any_number(fusion, num_frames):
    assert network(fusion=fusion)(clips(num_frames)).logits.isfinite().all()


def test_a_network_over_the_frames_refuses_another_number():
    with pytest.raises(ValueError, match=r"the clip has 5 frames; this network's fusion .* takes 3"):
        network(fusion="network")(clips(5))


@pytest.mark.parametrize("fusion", ["attention", "network"])
def test_what_learns_from_features_does_not_fuse_scores(fusion):
    with pytest.raises(StrictDataclassError, match=f"fusion is '{fusion}', which learns from features"):
        FramePoolingConfig(backbone_config=TINY_BACKBONE, image_size=32, fusion=fusion, head={"name": "frames"})


def test_an_unknown_fusion_is_refused_with_the_known_ones():
    with pytest.raises(StrictDataclassError, match="median"):
        FramePoolingConfig(fusion="median")


def test_a_single_frame_is_what_the_image_network_says_of_it():
    model = network(num_frames=1)
    expected = model.base_model.encoder(clips(1)[:, 0]) @ model.head.classifier.weight.T + model.head.classifier.bias
    assert_close(model(clips(1)).logits, expected)


def test_its_processor_takes_the_middle_frame_of_each_segment():
    video = torch.arange(24, dtype=torch.uint8).view(24, 1, 1, 1).expand(24, 3, 224, 224).contiguous()
    processor = FramePoolingVideoProcessor(do_rescale=False, do_normalize=False, do_resize=False)
    taken = processor(video, return_tensors="pt").pixel_values_videos[0, :, 0, 0, 0]
    assert taken.tolist() == [1, 4, 7, 10, 13, 16, 19, 22]
    drawn = sample_segments(total=24, num_segments=8, generator=torch.Generator().manual_seed(0)).indices
    assert [index // 3 for index in drawn] == list(range(8))
