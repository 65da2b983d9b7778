"""The processor of a network that was made, rather than loaded."""

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoModelForVideoClassification

import muybridge
from muybridge.cli import main
from muybridge.models.frame_pooling import FramePoolingForVideoClassification
from muybridge.models.layers.image_processing_imagenet import ImageNetMeanImageProcessor
from muybridge.models.registry import list_architectures


@pytest.mark.parametrize(
    "architecture",
    list_architectures("video-classification").values(),
    ids=list_architectures("video-classification").keys(),
)
def test_every_network_makes_a_processor_that_gives_what_it_takes(architecture):
    torch.manual_seed(0)
    model = architecture.task_model(architecture.tiny_config()).eval()
    clip = torch.zeros(model.config.num_frames, model.config.num_channels, 50, 60, dtype=torch.uint8)
    inputs = model.make_processor()(clip, return_tensors="pt")
    shapes = {name: tuple(value.shape[1:]) for name, value in inputs.items()}
    mask = {"frame_mask": (model.config.num_frames,)} if model.takes_frame_mask else {}
    assert shapes == {**model.input_shapes(), **mask}
    assert model(**inputs).logits.isfinite().all()


def test_frames_become_what_the_image_networks_processor_makes_of_them(tmp_path):
    architecture = list_architectures("image-classification")["alexnet"]
    image_model = architecture.task_model(architecture.tiny_config())
    side = image_model.config.image_size
    like = ImageNetMeanImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    model = FramePoolingForVideoClassification.from_backbone(image_model, num_frames=2, num_labels=3).eval()
    model.save_pretrained(tmp_path)
    model.make_processor(like).save_pretrained(tmp_path)
    frames = torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8)
    processor = muybridge.AutoVideoProcessor.from_pretrained(tmp_path)
    pixels = processor(frames, return_tensors="pt").pixel_values_videos
    assert_close(pixels[0], like(list(frames), return_tensors="pt").pixel_values)
    loaded = AutoModelForVideoClassification.from_pretrained(tmp_path).eval()
    assert_close(loaded(pixels).logits, model(pixels).logits)


def test_a_network_for_images_is_not_asked_to_label_videos(tmp_path, capsys):
    architecture = list_architectures("image-classification")["vgg"]
    architecture.task_model(architecture.tiny_config()).save_pretrained(tmp_path)
    assert main(["classify", "clip.mp4", "--model", str(tmp_path)]) == 2
    assert "is a vgg, a network for images: use it in pipeline('image-classification')" in capsys.readouterr().err
