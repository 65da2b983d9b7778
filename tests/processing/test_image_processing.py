"""Images to pixel values."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    pipeline,
)

from muybridge.processing import ImageProcessor


class SmallImageProcessor(ImageProcessor):
    size = 24  # the shortest edge
    crop_size = 16
    image_mean = (0.4, 0.5, 0.6)
    image_std = (0.2, 0.25, 0.3)


def noise(*shape):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def process(images, **arguments):
    return SmallImageProcessor()(images, **arguments).pixel_values


@pytest.fixture
def image():
    return Image.fromarray(noise(31, 47, 3).numpy())


def test_the_steps_equal_those_of_pil_and_numpy(image):
    cropped = np.asarray(image.resize((36, 24), Image.Resampling.BILINEAR))[4:20, 10:26] / 255
    expected = torch.from_numpy((cropped - [0.4, 0.5, 0.6]) / [0.2, 0.25, 0.3]).permute(2, 0, 1).float()
    pixels = process(image)
    assert pixels.shape == (1, 3, 16, 16)
    assert (pixels[0] - expected).abs().max() <= 1.001 / 255 / 0.2


def test_an_image_is_the_same_however_it_is_given(image, tmp_path):
    image.save(tmp_path / "image.png")
    path, array = tmp_path / "image.png", np.asarray(image)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    expected = process(image)
    for given in (path, str(path), path.read_bytes(), {"path": str(path), "bytes": None}, array, tensor, [image]):
        assert torch.equal(process(given), expected)


def test_a_batch_of_two_is_two_singles(image):
    tall = image.rotate(90, expand=True)
    assert torch.equal(process([image, tall]), torch.cat([process(image), process(tall)]))


def test_ten_crops_are_views(image):
    views = process([image, image], num_crops=10)
    assert views.shape == (2, 10, 3, 16, 16)
    assert torch.equal(views[:, 5:], views[:, :5].flip(-1))
    assert torch.equal(views[:, 4], process([image, image]))


def test_bicubic_equals_pil_within_two_levels(image):
    expected = np.asarray(image.resize((36, 24), Image.Resampling.BICUBIC)).astype(float)
    plain = {"do_center_crop": False, "do_rescale": False, "do_normalize": False}
    pixels = process(image, resample=Image.Resampling.BICUBIC, **plain)[0].permute(1, 2, 0).numpy()
    assert np.abs(pixels - expected).max() <= 2


def test_unknown_arguments_and_unequal_shapes_are_refused(image):
    with pytest.raises(TypeError, match="SmallImageProcessor has no argument crop"):
        process(image, crop=3)
    with pytest.raises(ValueError, match="cannot make a batch"):
        process([image, image.rotate(90, expand=True)], do_center_crop=False)


def test_saving_and_loading_keeps_every_argument(tmp_path, image):
    processor = SmallImageProcessor(num_crops=5, channel_order="bgr")
    processor.save_pretrained(tmp_path)
    loaded = SmallImageProcessor.from_pretrained(tmp_path)
    assert loaded.to_dict() == processor.to_dict()
    assert torch.equal(loaded(image).pixel_values, processor(image).pixel_values)


class TinyImageConfig(ViTConfig):
    model_type = "tiny_image_of_tests"


class TinyImageClassifier(ViTForImageClassification):
    config_class = TinyImageConfig


def test_the_pipeline_of_transformers_finds_a_registered_processor(tmp_path, image):
    AutoConfig.register("tiny_image_of_tests", TinyImageConfig)
    AutoModelForImageClassification.register(TinyImageConfig, TinyImageClassifier)
    backends = {"pil": SmallImageProcessor, "torchvision": SmallImageProcessor}
    AutoImageProcessor.register(TinyImageConfig, image_processor_classes=backends)
    config = TinyImageConfig(
        image_size=16, patch_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
        num_labels=3,
    )  # fmt: skip
    model = TinyImageClassifier(config).eval()
    model.save_pretrained(tmp_path)
    SmallImageProcessor().save_pretrained(tmp_path)
    image.save(tmp_path / "image.png")
    labels = pipeline("image-classification", model=str(tmp_path))(str(tmp_path / "image.png"), top_k=3)
    expected = model(process(image)).logits[0].softmax(-1)
    assert {label["label"]: label["score"] for label in labels} == pytest.approx(
        {f"LABEL_{index}": score for index, score in enumerate(expected.tolist())}, abs=1e-5
    )
