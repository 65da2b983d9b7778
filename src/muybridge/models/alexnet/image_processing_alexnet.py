"""What the network of 2012 takes."""

from muybridge.models.layers.image_processing_imagenet import ImageNetMeanImageProcessor


class AlexNetImageProcessor(ImageNetMeanImageProcessor):
    crop_size = {"height": 227, "width": 227}
