"""What networks trained on ImageNet take: two ways, that several of them share."""

from muybridge.processing import ImageProcessor


class ImageNetImageProcessor(ImageProcessor):
    """Pixels normalised by ImageNet's mean and deviation, as torchvision's weights expect."""

    size = {"shortest_edge": 256}
    crop_size = {"height": 224, "width": 224}
    image_mean = [0.485, 0.456, 0.406]
    image_std = [0.229, 0.224, 0.225]


class ImageNetMeanImageProcessor(ImageProcessor):
    """Pixels in [0, 255] less ImageNet's mean colour, as the networks of 2012 to 2014 were trained."""

    size = {"shortest_edge": 256}
    crop_size = {"height": 224, "width": 224}
    rescale_factor = 1.0
    image_mean = [123.68, 116.779, 103.939]
    image_std = [1.0, 1.0, 1.0]
