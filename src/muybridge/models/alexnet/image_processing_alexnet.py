"""What the network of 2012 takes: crops of 227 pixels, less the mean colour of ImageNet."""

from muybridge.processing import ImageProcessor


class AlexNetImageProcessor(ImageProcessor):
    size = {"shortest_edge": 256}
    crop_size = {"height": 227, "width": 227}
    rescale_factor = 1.0  # its pixels lie in [0, 255]
    image_mean = [123.68, 116.779, 103.939]
    image_std = [1.0, 1.0, 1.0]
