"""Images become `pixel_values`: upright, resized, cropped, normalised.

Shapes: B images, V views of each, C channels, H×W pixels.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from PIL.Image import Resampling
from transformers.image_processing_base import BatchFeature
from transformers.processing_utils import ImagesKwargs

from muybridge.processing.inputs import as_images
from muybridge.processing.settings import CheckedProcessor
from muybridge.processing.steps import crop_frames, prepare_frames, require_one_shape, write_pixel_values


class ImageProcessorKwargs(ImagesKwargs, total=False):  # type: ignore[call-arg]
    """Our arguments beside transformers'; they mean what they mean for videos (`VideoProcessorKwargs`)."""

    antialias: bool
    num_crops: int
    channel_order: Literal["rgb", "bgr"]


class ImageProcessor(CheckedProcessor):
    """Images of any kind to `pixel_values`; an architecture's processor is a subclass with numbers.

    - What can be handed in: a path, an address, bytes, a file object, a PIL image, a tensor or array of 2
      to 4 dimensions, or a list of these. Files and PIL images are turned upright as their EXIF data says.
    - The result is (B, C, H, W), or (B, V, C, H, W) where `num_crops` is more than one.
    - Floats and bytes are rescaled as `VideoProcessor` says.

    Register a subclass for every backend that transformers may ask for, as it needs none of them:
    `AutoImageProcessor.register(Config, image_processor_classes={"pil": X, "torchvision": X})`.
    """

    valid_kwargs = ImageProcessorKwargs

    do_convert_rgb = True
    do_resize = True
    size: Mapping[str, int] = {"shortest_edge": 256}
    resample = Resampling.BILINEAR
    antialias = True
    do_center_crop = True
    crop_size: Mapping[str, int] = {"height": 224, "width": 224}
    num_crops = 1
    channel_order = "rgb"
    do_rescale = True
    do_normalize = True
    image_mean: Sequence[float] = (0.485, 0.456, 0.406)
    image_std: Sequence[float] = (0.229, 0.224, 0.225)

    def preprocess(self, images: Any, **kwargs: Any) -> BatchFeature:
        settings = self.make_settings(kwargs)
        sources = as_images(images, settings.input_data_format)
        crops_of_images = [crop_frames(prepare_frames(image, settings), settings) for image in sources]
        first = crops_of_images[0]
        shape = (len(sources), len(first), *require_one_shape(crops_of_images))
        views = torch.empty(shape, dtype=torch.float32, device=first.device)
        for image_views, crops in zip(views, crops_of_images, strict=True):
            write_pixel_values(crops, settings, out=image_views)
        pixel_values = views[:, 0] if len(first) == 1 else views
        return BatchFeature({self.model_input_names[0]: pixel_values}, tensor_type=settings.return_tensors)
