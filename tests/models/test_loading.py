"""Checkpoints become networks and processors: of transformers' own, ours with the numbers that theirs have."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close
from transformers import AutoModelForVideoClassification
from transformers.image_utils import SizeDict
from transformers.models.llava_onevision.video_processing_llava_onevision import LlavaOnevisionVideoProcessor
from transformers.models.timesformer.video_processing_timesformer import TimesformerVideoProcessor
from transformers.models.videomae.image_processing_pil_videomae import VideoMAEImageProcessorPil
from transformers.models.videomae.video_processing_videomae import VideoMAEVideoProcessor
from transformers.models.vivit.image_processing_vivit import VivitImageProcessor
from transformers.models.vivit.video_processing_vivit import VivitVideoProcessor
from transformers.models.vjepa2.video_processing_vjepa2 import VJEPA2VideoProcessor

from clips import moving_square, write_clip
from muybridge.models import ARCHITECTURES, load_model, load_processor
from muybridge.models.ensemble import EnsembleForVideoClassification
from muybridge.models.loading import PIXEL_FIELDS, PixelValuesVideoProcessor
from muybridge.models.registry import FOREIGN_ARCHITECTURES
from muybridge.processing import ImageProcessor, VideoProcessor

OF_VIDEOS = {name: each for name, each in FOREIGN_ARCHITECTURES.items() if each.task == "video-classification"}
each_for_videos = pytest.mark.parametrize("architecture", OF_VIDEOS.values(), ids=OF_VIDEOS.keys())


def save(folder, architecture, processor=None, **fields):
    """A checkpoint as transformers saves it, with the fields of its processor's file."""
    torch.manual_seed(0)
    model = architecture.task_model(architecture.tiny_config(**fields)).eval()
    model.save_pretrained(folder)
    if processor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return model


def frames(num_frames=4, height=50, width=70):
    """Smooth pictures and noise, (T, H, W, C)."""
    rows, columns = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).integers(0, 60, (num_frames, height, width, 3))
    return (noise + (2 * rows + columns)[None, :, :, None]).astype(np.uint8)


NUMBERS = {
    "do_resize": True, "size": {"shortest_edge": 36}, "resample": 2, "do_center_crop": True,
    "crop_size": {"height": 32, "width": 32}, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
}  # fmt: skip


# Pixels


def compare_pixels(theirs, folder, given):
    """The pixels of transformers' processor, and of ours for the checkpoint with its numbers."""
    expected = theirs([Image.fromarray(frame) for frame in given], return_tensors="pt")["pixel_values"]
    processor = load_processor(folder)
    pixels = processor(torch.from_numpy(given).permute(0, 3, 1, 2), return_tensors="pt")["pixel_values"]
    assert pixels.shape == expected.shape == (1, 4, 3, 32, 32)
    return pixels, expected


THEIRS = {
    "videomae": VideoMAEImageProcessorPil,
    "vivit": VivitImageProcessor,
    "timesformer": VideoMAEImageProcessorPil,
}


@pytest.mark.parametrize("name", THEIRS)
def test_pixels_are_those_of_transformers_processor(name, tmp_path):
    numbers = NUMBERS if name != "vivit" else NUMBERS | {"rescale_factor": 1 / 127.5, "offset": True}
    theirs = THEIRS[name](**numbers)
    save(tmp_path, OF_VIDEOS[name], theirs.to_dict())
    unscaled = frames(height=36, width=44)
    assert_close(*compare_pixels(theirs, tmp_path, unscaled), rtol=0, atol=1e-5)
    pixels, expected = compare_pixels(theirs, tmp_path, frames())
    # Pillow rounds twice to whole levels between the passes of its filter, along rows and along columns.
    level = (numbers["rescale_factor"] / torch.tensor(numbers["image_std"])).max()
    assert (pixels - expected).abs().max() < 2.1 * level
    assert (pixels - expected).abs().mean() < 0.5 * level


@pytest.mark.parametrize(
    "changes",
    [
        {"offset": False},
        {"do_normalize": False},
        {"do_rescale": False, "offset": False},
        {"do_center_crop": False, "size": {"height": 32, "width": 32}},
    ],
)
def test_each_number_of_vivits_processor_counts(changes, tmp_path):
    theirs = VivitImageProcessor(**(NUMBERS | {"rescale_factor": 1 / 127.5, "offset": True} | changes))
    save(tmp_path, OF_VIDEOS["vivit"], theirs.to_dict())
    side = 32 if "size" in changes else 36
    assert_close(*compare_pixels(theirs, tmp_path, frames(height=side, width=side)), rtol=1e-5, atol=1e-4)


def test_sizes_that_older_files_state_as_one_number_are_understood(tmp_path):
    older = {"feature_extractor_type": "VideoMAEFeatureExtractor", **NUMBERS, "size": 36, "crop_size": 32}
    save(tmp_path, OF_VIDEOS["videomae"], older)
    processor = load_processor(tmp_path)
    assert dict(processor.size) == {"shortest_edge": 36}
    assert dict(processor.crop_size) == {"height": 32, "width": 32}


OF_TRANSFORMERS = {
    "timesformer": TimesformerVideoProcessor(),
    "videomae": VideoMAEVideoProcessor(),
    # What VideoPrism's processor hands to the one of another network.
    "videoprism_vision_model": LlavaOnevisionVideoProcessor(size={"height": 288, "width": 288}, do_normalize=False),
    "vivit": VivitVideoProcessor(),
    "vjepa2": VJEPA2VideoProcessor(),
}


@each_for_videos
def test_numbers_that_a_file_leaves_out_are_those_of_transformers_processor(architecture, tmp_path):
    save(tmp_path, architecture, {"do_resize": True})
    ours, theirs = load_processor(tmp_path), OF_TRANSFORMERS[architecture.name].to_dict()
    if architecture.processor_fields.get("offset"):
        theirs["image_mean"] = [1 + value for value in theirs["image_mean"]]
    for name in PIXEL_FIELDS:
        if name in theirs and (theirs["do_normalize"] or not name.startswith("image_")):
            assert_close(plain(getattr(ours, name)), plain(theirs[name]), msg=name)


def plain(value):
    if isinstance(value, SizeDict | dict):
        return dict(value)
    return list(value) if isinstance(value, tuple | list) else float(value)


# Which processor it is


@each_for_videos
def test_a_file_becomes_what_the_network_takes(architecture, tmp_path):
    save(tmp_path, architecture, NUMBERS)
    model, processor = load_model(tmp_path).eval(), load_processor(tmp_path)
    clip = write_clip(tmp_path / "clip.mp4", moving_square(num_frames=12, height=48, width=64))
    inputs = processor(str(clip), return_tensors="pt")
    assert {name: tuple(value.shape[1:]) for name, value in inputs.items()} == model.input_shapes()
    assert model(**inputs).logits.isfinite().all()
    views = processor(str(clip), num_clips=2, num_crops=3, return_tensors="pt")
    (pixels,) = views.values()
    assert pixels.shape[1] == 6
    assert model(**views).logits.shape == (1, 3)


def test_the_number_of_frames_is_that_of_the_config(tmp_path):
    save(tmp_path, OF_VIDEOS["videomae"], NUMBERS, num_frames=6)
    assert load_processor(tmp_path).num_frames == 6
    assert load_processor(tmp_path, num_frames=2, sampling="dense").num_frames == 2


@each_for_videos
def test_a_processor_that_was_saved_as_ours_comes_back_as_it_was(architecture, tmp_path):
    save(tmp_path / "theirs", architecture, NUMBERS)
    processor = load_processor(tmp_path / "theirs", sampling="dense", frame_stride=2)
    save(tmp_path / "ours", architecture)
    processor.save_pretrained(tmp_path / "ours")
    again = load_processor(tmp_path / "ours")
    expected = (
        PixelValuesVideoProcessor if architecture.task_model.main_input_name == "pixel_values" else VideoProcessor
    )
    assert type(again) is type(processor) is expected
    assert again.to_dict() == processor.to_dict()
    assert (again.sampling, again.frame_stride) == ("dense", 2)


def test_a_checkpoint_without_a_processor_is_refused(tmp_path):
    save(tmp_path, OF_VIDEOS["vivit"])
    with pytest.raises(OSError, match=r"has no video_preprocessor_config\.json and no preprocessor_config\.json"):
        load_processor(tmp_path)


@pytest.mark.parametrize("name", ["c3d", "vgg", "resnet"])
def test_ours_and_those_of_images_have_the_processor_that_they_were_saved_with(name, tmp_path):
    architecture = {**ARCHITECTURES, **FOREIGN_ARCHITECTURES}[name]
    save(tmp_path, architecture)
    architecture.processor(do_normalize=False).save_pretrained(tmp_path)
    processor = load_processor(tmp_path)
    assert type(processor) is architecture.processor
    assert not processor.do_normalize
    assert isinstance(processor, VideoProcessor if name == "c3d" else ImageProcessor)
    assert load_processor(tmp_path, do_resize=False).do_resize is False


# Networks


def test_options_of_transformers_are_those_of_ours(tmp_path):
    save(tmp_path, OF_VIDEOS["vivit"])
    model = load_model(tmp_path, dtype=torch.bfloat16, num_labels=7, ignore_mismatched_sizes=True)
    assert model.dtype == torch.bfloat16
    assert model.get_head().out_features == 7


def test_what_is_no_checkpoint_is_refused_by_its_name(tmp_path):
    with pytest.raises(OSError, match="nothing"):
        load_model(tmp_path / "nothing")


# Ensembles


def test_an_ensemble_hands_a_network_of_transformers_what_its_own_processor_would(tmp_path):
    vivit, vjepa2 = OF_VIDEOS["vivit"], OF_VIDEOS["vjepa2"]
    one = save(tmp_path / "one", vivit, NUMBERS | {"rescale_factor": 1 / 127.5, "offset": True})
    other = save(tmp_path / "other", vjepa2, NUMBERS)
    ensemble = EnsembleForVideoClassification.from_members({"one": tmp_path / "one", "other": tmp_path / "other"})
    pixels = torch.from_numpy(frames(height=36, width=36)).permute(0, 3, 1, 2)
    size = {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}
    inputs = ensemble.make_processor(**size)(pixels, return_tensors="pt")
    expected = []
    for name, model in (("one", one), ("other", other)):
        given = load_processor(tmp_path / name)(pixels, return_tensors="pt")
        expected.append(model(**given).logits.softmax(-1))
    assert_close(ensemble(**inputs).logits.softmax(-1), sum(expected) / 2, rtol=1e-4, atol=1e-5)
    ensemble.save_pretrained(tmp_path / "ensemble")
    loaded = AutoModelForVideoClassification.from_pretrained(tmp_path / "ensemble").eval()
    assert torch.equal(loaded(**inputs).logits, ensemble(**inputs).logits)
