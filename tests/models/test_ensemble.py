"""Ensembles: the average of their members' probabilities, each member given videos as it knows them."""

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from torch.testing import assert_close
from transformers import AutoModelForVideoClassification, VideoMAEConfig, VideoMAEForVideoClassification, pipeline

from clips import moving_square, write_clip
from muybridge.models.ensemble import EnsembleConfig, EnsembleForVideoClassification
from muybridge.models.registry import ARCHITECTURES, list_architectures
from muybridge.models.video_resnet import VideoResNetVideoProcessor

LABELS = {0: "walk", 1: "run", 2: "jump"}


def member(name="video_resnet", seed=0, labels=LABELS, **fields):
    torch.manual_seed(seed)
    architecture = list_architectures("video-classification")[name]
    ids = {label: index for index, label in labels.items()}
    model = architecture.task_model(
        architecture.tiny_config(num_labels=len(labels), id2label=labels, label2id=ids, **fields)
    ).eval()
    with torch.no_grad():
        model.get_head().classifier.weight.mul_(30)
    return model


def videos(num_frames=4, side=32):
    return torch.randn(2, num_frames, 3, side, side, generator=torch.Generator().manual_seed(0))


def probabilities(model, pixels):
    with torch.inference_mode():
        return model(pixels).logits.softmax(-1)


def save(model, folder, **numbers):
    model.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    VideoResNetVideoProcessor(
        **{"num_frames": 4, "size": size, "crop_size": size, "sampling": "uniform", "fps": None, **numbers}
    ).save_pretrained(folder)
    return folder


def test_the_probabilities_are_the_members_mean():
    members = {"one": member(), "other": member("c3d"), "third": member(seed=1)}
    ensemble = EnsembleForVideoClassification.from_members(members).eval()
    expected = sum(probabilities(model, videos()) for model in members.values()) / 3
    assert_close(probabilities(ensemble, videos()), expected)
    assert ensemble.config.id2label == LABELS


def test_an_ensemble_of_one_is_that_one():
    one = member()
    ensemble = EnsembleForVideoClassification.from_members({"one": one}).eval()
    assert_close(ensemble(videos()).logits, one(videos()).logits.log_softmax(-1))


def test_a_saved_ensemble_comes_back_and_names_its_members(tmp_path):
    members = {"one": member(), "other": member("lrcn", seed=2)}
    ensemble = EnsembleForVideoClassification.from_members(members).eval()
    ensemble.save_pretrained(tmp_path)
    loaded = AutoModelForVideoClassification.from_pretrained(tmp_path).eval()
    assert [each["name"] for each in loaded.config.members] == ["one", "other"]
    assert [each["config"]["model_type"] for each in loaded.config.members] == ["video_resnet", "lrcn"]
    assert torch.equal(loaded(videos()).logits, ensemble(videos()).logits)


def test_a_network_of_transformers_is_a_member_like_any_other():
    torch.manual_seed(0)
    config = VideoMAEConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, num_frames=4,
        id2label=LABELS, label2id={label: index for index, label in LABELS.items()},
    )  # fmt: skip
    members = {"theirs": VideoMAEForVideoClassification(config).eval(), "ours": member()}
    ensemble = EnsembleForVideoClassification.from_members(members).eval()
    expected = sum(probabilities(model, videos()) for model in members.values()) / 2
    assert_close(probabilities(ensemble, videos()), expected)


def test_views_of_an_ensemble_are_averaged_as_those_of_any_network():
    ensemble = EnsembleForVideoClassification.from_members({"one": member(), "other": member(seed=1)}).eval()
    views = torch.randn(2, 3, 4, 3, 32, 32)
    expected = torch.stack([probabilities(ensemble, views[:, view]) for view in range(3)]).mean(0)
    assert_close(probabilities(ensemble, views), expected)


# What each member is handed


def seen_by(ensemble, index):
    seen = []
    network = ensemble.base_model.members[index].network
    hook = network.register_forward_pre_hook(
        lambda *call: seen.append(call[-1]["pixel_values_videos"]), with_kwargs=True
    )
    ensemble(videos())
    hook.remove()
    return seen[0]


def test_a_member_like_the_ensemble_gets_the_very_videos():
    ensemble = EnsembleForVideoClassification.from_members({"one": member(), "other": member("c3d")}).eval()
    for index in range(2):
        given = videos()
        assert ensemble.base_model.members[index].prepare(given) is given


def test_a_member_of_fewer_frames_gets_them_evenly_and_one_of_other_size_gets_them_resized():
    members = {"all": member(), "half": member(num_frames=2), "small": member(image_size=16)}
    ensemble = EnsembleForVideoClassification.from_members(members).eval()
    assert (ensemble.config.num_frames, ensemble.config.image_size) == (4, 32)
    assert torch.equal(seen_by(ensemble, 1), videos()[:, [0, 2]])
    small = seen_by(ensemble, 2)
    assert small.shape == (2, 4, 3, 16, 16)
    whole = torch.nn.functional.interpolate(videos()[0], size=(16, 16), mode="bilinear", antialias=True)
    assert_close(small[0], whole)


def test_each_member_gets_pixels_in_the_numbers_of_its_own_processor(tmp_path):
    """The same bytes of frames, once through each member's processor and once through the ensemble's."""
    numbers = {
        "imagenet": {},
        "bytes": {"rescale_factor": 1.0, "image_mean": [90.0, 100.0, 110.0], "image_std": [1.0, 1.0, 1.0]},
        "blue first": {"channel_order": "bgr", "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]},
        "plain": {"do_normalize": False},
    }
    members = {name: member(seed=index) for index, name in enumerate(numbers)}
    folders = {name: save(model, tmp_path / name, **numbers[name]) for name, model in members.items()}
    ensemble = EnsembleForVideoClassification.from_members(folders).eval()
    frames = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    pixels = ensemble.make_processor()(frames, return_tensors="pt").pixel_values_videos
    for index, (name, folder) in enumerate(folders.items()):
        expected = VideoResNetVideoProcessor.from_pretrained(folder)(frames, return_tensors="pt").pixel_values_videos
        assert_close(ensemble.base_model.members[index].prepare(pixels), expected, rtol=1e-4, atol=1e-3, msg=name)


def test_the_pipeline_labels_a_file_with_an_ensemble(tmp_path):
    folders = {name: save(member(seed=seed), tmp_path / name) for seed, name in enumerate(("one", "other"))}
    ensemble = EnsembleForVideoClassification.from_members(folders).eval()
    ensemble.save_pretrained(tmp_path / "ensemble")
    processor = ensemble.make_processor()
    processor.save_pretrained(tmp_path / "ensemble")
    clip = write_clip(tmp_path / "clip.mp4", moving_square(num_frames=8, height=48, width=64))
    labels = pipeline("video-classification", model=str(tmp_path / "ensemble"))(str(clip))
    expected = probabilities(ensemble, processor(str(clip), return_tensors="pt").pixel_values_videos)[0]
    given = {each["label"]: each["score"] for each in labels}
    assert_close(torch.tensor([given[label] for label in LABELS.values()]), expected, rtol=1e-3, atol=1e-4)


# Labels


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({0: "walk", 1: "jump", 2: "run"}, "label 1 is 'run' of one, and 'jump' of other"),
        ({0: "walk", 1: "run"}, "one has 3 labels, and other 2"),
    ],
)
def test_members_with_other_labels_are_refused_with_the_first_difference(labels, message):
    with pytest.raises(ValueError, match=message):
        EnsembleForVideoClassification.from_members({"one": member(), "other": member(labels=labels)})


def test_a_config_whose_member_has_other_labels_is_refused():
    members = [{"name": "one", "config": member().config}]
    with pytest.raises(StrictDataclassError, match="label 0 is 'sit' of the ensemble, and 'walk' of one"):
        EnsembleConfig(members=members, id2label={0: "sit", 1: "run", 2: "jump"})


def test_a_new_classifier_sees_the_probabilities_of_members_that_stay_as_they_are(tmp_path):
    members = {"one": member(), "other": member(seed=1)}
    ensemble = EnsembleForVideoClassification.from_members(members).eval()
    assert not list(ensemble.get_head().parameters())
    ensemble.reset_head(["sitting", "standing"])
    scores = torch.cat([probabilities(model, videos()).log() for model in members.values()], dim=1)
    classifier = ensemble.get_head().classifier
    assert_close(ensemble(videos()).logits, scores @ classifier.weight.T + classifier.bias)
    ensemble.save_pretrained(tmp_path)
    loaded = AutoModelForVideoClassification.from_pretrained(tmp_path).eval()
    assert loaded.config.id2label == {0: "sitting", 1: "standing"}
    assert torch.equal(loaded(videos()).logits, ensemble(videos()).logits)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"members": []}, "there must be one or more"),
        ({"members": [{"name": "a", "config": {"model_type": "c3d"}}] * 2}, "each with a name of its own"),
    ],
)
def test_ensembles_that_cannot_be_are_refused(fields, message):
    with pytest.raises(StrictDataclassError, match=message):
        EnsembleConfig(**fields)


def test_an_ensemble_that_averages_has_no_dropout_of_its_own():
    with pytest.raises(ValueError, match="the head 'mean' has no number dropout; it has none"):
        EnsembleConfig(head={"dropout": 0.5})


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"config": {"model_type": "c3d"}}, "it must have name and config"),
        ({"name": "a", "config": {"model_type": "c3d"}, "weight": 2}, "it must have name and config, and may have"),
        ({"name": "a", "config": {"depths": [1]}}, "the config of a names no model_type"),
    ],
)
def test_members_that_cannot_be_are_refused(entry, message):
    with pytest.raises(ValueError, match=message):
        EnsembleConfig(members=[entry])


@pytest.mark.parametrize("name", ["video_resnet", "alexnet"])
def test_a_network_that_is_no_video_classifier_is_refused_by_its_name(name):
    architecture = ARCHITECTURES[name]
    network = (architecture.task_model if name == "alexnet" else architecture.model)(architecture.tiny_config())
    with pytest.raises(ValueError, match=rf"one is a {type(network).__name__}; a member must be a video classifier"):
        EnsembleForVideoClassification.from_members({"one": network})


def test_an_ensemble_of_networks_in_training_is_in_evaluation_mode():
    ensemble = EnsembleForVideoClassification.from_members({"one": member().train()})
    assert not any(module.training for module in ensemble.modules())


def test_a_folder_without_a_processor_is_refused_with_the_remedy(tmp_path):
    member().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"one: .* has no video processor.*processors="):
        EnsembleForVideoClassification.from_members({"one": tmp_path})
